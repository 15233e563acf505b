//! A report for pipelines.

use quick_junit::{NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::coverage::Coverage;
use super::report::{Judgement, Report, Status};
use super::table::details;
use crate::words::visible;

/// How many packets are named of each thing that is wrong.
const EXAMPLES: usize = 50;

/// The report as JUnit XML: a test suite for each file, a test case for each expectation; one that isn't met is a failure,
/// one without an answer an error. What was exercised is among the properties.
pub fn junit(report: &Report, coverage: &Coverage) -> String {
    let mut suites: Vec<TestSuite> = Vec::new();
    for judgement in report.judgements() {
        let file = visible(judgement.file).into_owned();
        let case = test_case(&judgement, &file);
        match suites.last_mut().filter(|suite| suite.name.as_str() == file) {
            Some(suite) => {
                suite.add_test_case(case);
            }
            None => {
                let mut suite = TestSuite::new(&*file);
                suite.add_properties(properties(coverage));
                suite.add_test_case(case);
                suites.push(suite);
            }
        }
    }
    let mut document = Document::new("traceflow check");
    document.add_test_suites(suites);
    document.to_string().expect("memory takes it")
}

fn properties(coverage: &Coverage) -> Vec<Property> {
    let share = |part: usize, whole: usize| format!("{part} of {whole}");
    let rules = share(coverage.rules_exercised(), coverage.rules.len());
    let isolations = share(coverage.isolations_exercised(), coverage.isolations.len());
    vec![
        Property::new("policy rules exercised", rules),
        Property::new("default isolations exercised", isolations),
    ]
}

fn test_case(judgement: &Judgement<'_>, file: &str) -> TestCase {
    let kind = match judgement.status {
        Status::Met => None,
        Status::Unmet => Some(NonSuccessKind::Failure),
        Status::Unanswered => Some(NonSuccessKind::Error),
    };
    let status = kind.map_or_else(TestCaseStatus::success, |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        let (offences, unanswered) = (judgement.offences.len(), judgement.unanswered.len());
        status.set_message(format!(
            "of {} packets {offences} did not end as expected, {unanswered} have no answer",
            judgement.asked
        ));
        let lines: Vec<String> = details(judgement, EXAMPLES)
            .iter()
            .map(|line| visible(line).into_owned())
            .collect();
        status.set_description(lines.join("\n"));
        status
    });
    let mut case = TestCase::new(&*visible(judgement.name), status);
    case.set_classname(file);
    case
}
