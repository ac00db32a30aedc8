//! A picture of bars, as SVG: the median of each contender as a bar, and a line to what 95 of 100 do not exceed.

use std::fmt::Write;

use super::report::Row;
use super::task::Name;

const WIDTH: f64 = 760.0;
const LABELS: f64 = 290.0;
const NUMBERS: f64 = 90.0;
const BAR: f64 = 18.0;
const STEP: f64 = 28.0;
const TOP: f64 = 44.0;

/// The wall times of these rows under a title.
pub(super) fn bars(title: &str, rows: &[Row]) -> String {
    let height = TOP + STEP * rows.len() as f64 + 10.0;
    let longest = rows.iter().filter_map(|row| row.wall).map(|wall| wall.p95).fold(1.0, f64::max);
    let scale = (WIDTH - LABELS - NUMBERS) / longest;
    let mut picture = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"15\" fill=\"#1f2328\">{}: p50, line to p95, in ms</text>\n",
        escape(title)
    );
    for (number, row) in rows.iter().enumerate() {
        bar(&mut picture, TOP + STEP * number as f64, scale, row);
    }
    picture.push_str("</svg>\n");
    picture
}

fn bar(picture: &mut String, top: f64, scale: f64, row: &Row) {
    let Some(wall) = row.wall else { return };
    let colour = match row.contender {
        Name::Graftling => "#2da44e",
        Name::FloorApply | Name::FloorPost | Name::FloorDeployer | Name::FloorEnvironment => "#8c959f",
        _ => "#54aeff",
    };
    let label = escape(&row.contender.title().replace("\\|", "|"));
    let (end, far, middle) = (LABELS + wall.p50 * scale, LABELS + wall.p95 * scale, top + BAR / 2.0);
    let (right, base, length) = (LABELS - 8.0, top + 14.0, wall.p50 * scale);
    let _ = writeln!(
        picture,
        "<text x=\"{right:.1}\" y=\"{base:.1}\" text-anchor=\"end\" fill=\"#1f2328\">{label}</text>\n\
         <rect class=\"bar\" x=\"{LABELS}\" y=\"{top:.1}\" width=\"{length:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
         <line x1=\"{end:.1}\" y1=\"{middle:.1}\" x2=\"{far:.1}\" y2=\"{middle:.1}\" stroke=\"#1f2328\"/>\n\
         <text x=\"{:.1}\" y=\"{base:.1}\" fill=\"#1f2328\">{:.0}</text>",
        far + 6.0,
        wall.p50
    );
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
