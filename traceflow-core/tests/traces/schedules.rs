//! Whatever happens in whatever order, everything comes home and every trace gets one answer.

use proptest::prelude::{any, prop};
use proptest::proptest;

use crate::world::{Step, run};

proptest! {
    #[test]
    fn every_schedule_ends_with_one_answer_per_trace_and_nothing_left(
        setting: u8,
        schedule in prop::collection::vec(any::<Step>(), 0..200),
    ) {
        run(setting, &schedule);
    }
}
