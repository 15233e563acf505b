//! Every operation with criterion's statistics: `cargo bench -p benches`.

use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};

fn operations(criterion: &mut Criterion) {
    for operation in benches::operations() {
        let mut rounds = (operation.prepare)();
        criterion.bench_function(operation.name, |bencher| {
            bencher.iter_custom(|times| {
                let start = Instant::now();
                rounds(times);
                start.elapsed()
            });
        });
    }
}

criterion_group!(all, operations);
criterion_main!(all);
