//! Prints what every systemd of this machine says of its units, as JSON, one line each, until it is
//! killed: `cargo run -p highwater-owners --example watch-systemd [/run]`.

#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::path::PathBuf;

use highwater_owners::Heard;
use highwater_owners::systemd::watch_all;
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let run = PathBuf::from(std::env::args().nth(1).unwrap_or_else(|| "/run".to_owned()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(watch_all(&run, &|bus, heard| {
        let line = match heard {
            Ok(Heard::Here(who)) => json!({"here": who}),
            Ok(Heard::Caught) => json!({"caught": true}),
            Ok(Heard::Missed(missed)) => json!({"missed": missed.why}),
            Ok(Heard::Told(told)) => json!({
                "key": told.key,
                "wall": told.wall.map(|wall| wall.to_string()),
                "boot": told.boot.map(|boot| boot.to_string()),
                "testimony": serde_json::to_value(&told.testimony).unwrap_or(Value::Null),
            }),
            Err(absent) => json!({"absent": absent.why, "bus": bus.to_string()}),
        };
        println!("{line}");
    }));
    Ok(())
}
