//! The plot of `docs/performance.md`: what each operation costs on more servers, as a multiple of what it costs on the fewest.

use std::fs;
use std::path::Path;

use super::growth::grouped;

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 380.0;
/// Where the lines are: left, top, right, bottom.
const FRAME: [f64; 4] = [50.0, 20.0, 430.0, 330.0];
/// Told apart in light and in dark.
const COLORS: [&str; 6] = ["#3b82f6", "#f97316", "#22a06b", "#c026d3", "#dc2626", "#0891b2"];

/// Writes the file.
pub fn write(sizes: &[u64], rows: &[(&str, Vec<f64>)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/growth.svg");
    fs::write(path, svg(sizes, rows)).expect("the plot can be written");
}

fn svg(sizes: &[u64], rows: &[(&str, Vec<f64>)]) -> String {
    let [left, top, right, bottom] = FRAME;
    let ratios: Vec<(&str, Vec<f64>)> =
        rows.iter().map(|(name, values)| (*name, values.iter().map(|value| value / values[0]).collect())).collect();
    let highest = ratios.iter().flat_map(|(_, values)| values).copied().fold(1.5, f64::max);
    let logs: Vec<f64> = sizes.iter().map(|size| (*size as f64).log10()).collect();
    let span = (logs[logs.len() - 1] - logs[0]).max(1e-9);
    let x = |at: usize| left + (logs[at] - logs[0]) / span * (right - left);
    let y = |ratio: f64| bottom - ratio / highest * (bottom - top);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <style>text{{fill:#1f2328}}.axis{{stroke:#8b949e}}@media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n"
    );
    for half in 0..=(highest * 2.0).floor() as u32 {
        let ratio = f64::from(half) / 2.0;
        svg.push_str(&format!(
            "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke-width=\"0.5\"/><text x=\"{x}\" y=\"{t:.1}\" text-anchor=\"end\">{ratio}</text>\n",
            y = y(ratio), x = left - 6.0, t = y(ratio) + 4.0,
        ));
    }
    // the goal
    svg.push_str(&format!(
        "<line class=\"axis\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke-dasharray=\"4 3\"/>\n",
        y = y(1.3)
    ));
    for (at, size) in sizes.iter().enumerate() {
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            x(at),
            bottom + 18.0,
            grouped(*size)
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">servers; processor time of a request, as a multiple; dashed: 1.3</text>\n",
        (left + right) / 2.0,
        bottom + 38.0
    ));
    for (at, (name, values)) in ratios.iter().enumerate() {
        let points: Vec<String> =
            values.iter().enumerate().map(|(at, ratio)| format!("{:.1},{:.1}", x(at), y(*ratio))).collect();
        // as many lines again are told apart by dashes
        let dashes = if at < COLORS.len() { "" } else { " stroke-dasharray=\"6 3\"" };
        let stroke = format!("stroke=\"{}\" stroke-width=\"2\" fill=\"none\"{dashes}", COLORS[at % COLORS.len()]);
        let (key, text) = (right + 30.0, top + 12.0 + 22.0 * at as f64);
        let name = name.trim_end_matches(", CPU µs");
        let last = values.last().copied().unwrap_or(f64::NAN);
        svg.push_str(&format!(
            "<polyline points=\"{}\" {stroke}/><line x1=\"{key}\" x2=\"{}\" y1=\"{text}\" y2=\"{text}\" {stroke}/><text x=\"{}\" y=\"{}\">{name}: {last:.2}</text>\n",
            points.join(" "), key + 24.0, key + 32.0, text + 4.0,
        ));
    }
    svg.push_str("</svg>\n");
    svg
}
