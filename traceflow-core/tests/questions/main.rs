//! What can be asked, and every kind of mistake that can be made in asking, with the message and place that it gets.

mod command_lines;
mod examples;
mod flows;
mod manifests;
mod plans;
mod properties;
mod unplannable;
mod world;
