//! Makes a case in which not all tellers say the same as small as it gets.

use crate::case::{Asked, Case};
use crate::run::{Disagreement, Tellings, become_objects, tell};
use crate::world::World;

/// The smallest case that still shows a disagreement: without Services and policies that don't matter, then without what
/// doesn't matter of the packet. Nodes and Pods stay: they are the switches' ports.
///
/// A case that shows nothing any more on its own is given as it was, and its text says so.
///
/// # Errors
/// If the switches fail.
pub async fn minimised(
    world: &mut World,
    case: Case,
    tellings: Tellings,
    real_traffic: bool,
) -> Result<Disagreement, String> {
    let expected = |case: &Case| {
        let cluster = case.objects.cluster(0).ok()?;
        let plan = case.packet.plan(&cluster).ok()?;
        let prediction = traceflow_core::trace::Predictor::predict(&cluster, &plan).ok()?;
        Some(prediction.verdict.to_string())
    };
    let again = disagreement(world, &case, real_traffic).await?;
    let (case, text) = match again {
        None => {
            let text = format!("only seen after edits, not again on its own:\n{}", tellings.text());
            (case, text)
        }
        Some(text) => {
            let (case, text) = without_objects(world, case, text, real_traffic).await?;
            without_words(world, case, text, real_traffic).await?
        }
    };
    Ok(Disagreement {
        expected: expected(&case).unwrap_or_default(),
        case,
        text,
        edits: Vec::new(),
    })
}

/// Leaves one object out after another, until none can be.
async fn without_objects(
    world: &mut World,
    mut case: Case,
    mut text: String,
    real_traffic: bool,
) -> Result<(Case, String), String> {
    loop {
        let mut smaller = None;
        for name in case.objects.removable() {
            let mut candidate = case.clone();
            candidate.objects.remove(&name);
            if let Some(text) = disagreement(world, &candidate, real_traffic).await? {
                smaller = Some((candidate, text));
                break;
            }
        }
        match smaller {
            Some(found) => (case, text) = found,
            None => return Ok((case, text)),
        }
    }
}

/// Leaves out what the packet needn't say.
async fn without_words(
    world: &mut World,
    mut case: Case,
    mut text: String,
    real_traffic: bool,
) -> Result<(Case, String), String> {
    let words: Vec<String> = case.packet.flow.split(',').skip(1).map(str::to_owned).collect();
    for word in words {
        let kept = case.packet.flow.split(',').filter(|known| *known != word);
        let candidate = Case {
            packet: Asked {
                flow: kept.collect::<Vec<_>>().join(","),
                ..case.packet.clone()
            },
            ..case.clone()
        };
        if let Some(found) = disagreement(world, &candidate, real_traffic).await? {
            (case, text) = (candidate, found);
        }
    }
    Ok((case, text))
}

/// Who says what, if not all say the same.
async fn disagreement(world: &mut World, case: &Case, real_traffic: bool) -> Result<Option<String>, String> {
    if case.objects.cluster(0).is_err() {
        return Ok(None);
    }
    become_objects(world, &case.objects)?;
    let told = tell(world, &case.objects, std::slice::from_ref(&case.packet), real_traffic).await?;
    let disagreeing = told.into_iter().flatten().find(Tellings::disagree);
    Ok(disagreeing.map(|tellings| tellings.text()))
}
