//! The other side of the conversation, emulated for tests and for people: Auto Scaling, EC2, SSM, SQS, SNS, Nomad
//! and the Lambda service.
//!
//! Each system is a plain model with two faces: HTTP on loopback, for the real function, and direct calls, for tests
//! and for whoever plays the operator. The models share a [`clock`] that a test can turn, a [`journal`] of every
//! call and effect, and a table of [`faults`] to inject.
//!
//! Beside what happens in it, a lab can describe what is deployed ([`lab::Lab::deployed`]): functions, topics, queues,
//! rules and roles, as their services show them to whoever may look, whole or with one thing broken.
//!
//! **Invariant:** the lab writes its own JSON and XML and never imports a wire type of the clients it tests, so that
//! client and lab cannot share a mistake.

pub mod authority;
pub mod aws;
pub mod clock;
pub mod faults;
mod http_face;
pub mod journal;
pub mod lab;
pub mod lambda;
pub mod models;
pub mod nomad;
pub mod real_nomad;
pub mod sqs;
pub mod webhook;

pub use http_face::Face;
