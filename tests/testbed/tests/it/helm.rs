//! Helm is the real one, and sees nothing of the user's.

use std::fs;

use testbed::helm::{Error, helm};

#[test]
fn a_chart_renders_with_the_values_given() {
    let chart = tempfile::tempdir().unwrap();
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {{ .Values.name }}\n";
    fs::create_dir(chart.path().join("templates")).unwrap();
    fs::write(chart.path().join("Chart.yaml"), "apiVersion: v2\nname: small\nversion: 1.0.0\n").unwrap();
    fs::write(chart.path().join("templates/map.yaml"), template).unwrap();
    let chart = chart.path().to_string_lossy().into_owned();
    let rendered = helm(["template", "release", &chart, "--set", "name=from-a-test"]).unwrap();
    assert!(rendered.contains("name: from-a-test"), "{rendered}");
}

#[test]
fn helm_runs_with_an_empty_home_and_tells_what_failed() {
    let environment = helm(["env"]).unwrap();
    assert!(environment.contains("graftling-helm-"), "{environment}");
    let error = helm(["template", "release", "/no/such/chart"]).expect_err("there is no chart");
    assert!(
        matches!(&error, Error::Helm { output, .. } if output.contains("/no/such/chart")),
        "{error:?}"
    );
}
