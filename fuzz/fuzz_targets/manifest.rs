//! Any bytes are read as manifests or refused with a place in them, and a question that was read prints to a manifest
//! that asks the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::json;
use traceflow_core::input::{BadInput, Text};
use traceflow_core::spec::Manifest;

fuzz_target!(|bytes: &[u8]| {
    let read = Text::from_bytes("fuzz", bytes).and_then(|text| Manifest::read(&text));
    match read {
        Ok(manifests) => manifests.iter().for_each(check_printed),
        Err(mistake) => check_mistake(&mistake),
    }
});

fn check_printed(manifest: &Manifest) {
    let object = json!({
        "apiVersion": manifest.api_version().as_str(),
        "kind": "Traceflow",
        "metadata": manifest.metadata(),
        "spec": manifest.spec().to_json(),
    });
    let text = Text::new("printed", object.to_string());
    let again = Manifest::read(&text).expect("what is printed is read");
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].spec().ask(), manifest.spec().ask());
    assert_eq!(again[0].spec().packet(), manifest.spec().packet());
    assert_eq!(again[0].spec().timeout(), manifest.spec().timeout());
}

fn check_mistake(mistake: &BadInput) {
    let place = mistake.place().expect("the bytes are a text");
    assert!(place.line >= 1 && place.column >= 1);
    let _ = (mistake.to_string(), mistake.excerpt());
}
