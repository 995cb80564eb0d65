//! Builds the page out of `ui/` and packs its files, so that the binary carries them.
//!
//! Without the feature `page` neither Node nor anything of `ui/` is needed, and the list of files is
//! empty.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;

/// What the page is made of; all else in `ui/` is for tests and comes from the network.
const SOURCES: &[&str] =
    &["index.html", "package.json", "package-lock.json", "src", "tsconfig.json", "vite.config.ts"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let mut list = String::from("const FILES: &[File] = &[\n");
    if env::var_os("CARGO_FEATURE_PAGE").is_some() {
        let ui = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../../ui");
        for source in SOURCES {
            println!("cargo:rerun-if-changed={}", ui.join(source).display());
        }
        let built = out.join("ui");
        build(&ui, &built)?;
        pack(&built, &built, &out, &mut list)?;
    } else {
        println!("cargo:rerun-if-changed=build.rs");
    }
    list.push_str("];\n");
    fs::write(out.join("page.rs"), list)?;
    Ok(())
}

/// Has Vite build the page, and npm fetch what that takes if it is not there.
fn build(ui: &Path, built: &Path) -> Result<(), Box<dyn Error>> {
    if !ui.join("node_modules/vite").exists() {
        run(Command::new("npm").args(["ci", "--ignore-scripts", "--no-audit"]).current_dir(ui))?;
    }
    let mut vite = Command::new("node");
    vite.arg("node_modules/vite/bin/vite.js").args(["build", "--emptyOutDir", "--outDir"]);
    run(vite.arg(built).current_dir(ui))
}

fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    let shown = format!("{command:?}");
    let advice = "the page takes Node 20 and npm to build; --no-default-features builds without it";
    let output = command.output().map_err(|error| format!("{shown}: {error}; {advice}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    Err(format!("{shown}: {}\n{told}\n{said}\n{advice}", output.status).into())
}

/// Packs the files of a folder, one line of the list each.
fn pack(root: &Path, folder: &Path, out: &Path, list: &mut String) -> Result<(), Box<dyn Error>> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            pack(root, &path, out, list)?;
            continue;
        }
        let name = path.strip_prefix(root)?.to_str().ok_or("a file's name is no text")?.to_owned();
        let place = out.join(format!("{}.gz", name.replace('/', "-")));
        let mut packer = GzEncoder::new(fs::File::create(&place)?, Compression::best());
        std::io::copy(&mut fs::File::open(&path)?, &mut packer)?;
        packer.finish()?;
        let kind = kind(&name);
        let place = place.display().to_string();
        writeln!(
            list,
            "File {{ path: {:?}, kind: {kind:?}, packed: include_bytes!({place:?}) }},",
            format!("/{name}")
        )?;
    }
    Ok(())
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("txt") => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
