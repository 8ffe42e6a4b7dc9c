//! The rules, one test each: the name of a test is the rule.

mod absent;
mod adopted;
mod arrival;
mod by_hand;
mod cancel;
mod drain;
mod ended;
mod expect;
mod give_back;
mod heartbeat;
mod hook_start;
mod interruption;
mod pause;
mod scene;
mod sight;
mod silent_nodes;
mod stopped;
mod stuck;
mod timeouts;
mod turn;
mod without_hook;
