//! The rules, one test each: the name of a test is the rule.

mod absent;
mod adopted;
mod cancel;
mod drain;
mod expect;
mod heartbeat;
mod hook_start;
mod pause;
mod scene;
mod sight;
mod silent_nodes;
mod stopped;
mod stuck;
mod timeouts;
mod without_hook;
