//! Takes the few files of Swagger UI that `/docs` serves out of the vendored archive and stores them as gzip.
//!
//! A zip entry and a gzip file hold the same deflate stream between different headers, so nothing is inflated here,
//! at start, or on a request: browsers get the archive's own bytes with `Content-Encoding: gzip`.

use std::error::Error;
use std::fs;
use std::path::Path;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;

/// What is served, below the archive's top folder.
const WANTED: [(&str, &str); 3] =
    [("dist/swagger-ui-bundle.js", "swagger-ui.js"), ("dist/swagger-ui.css", "swagger-ui.css"), ("LICENSE", "LICENSE")];

const DIRECTORY_END: &[u8] = b"PK\x05\x06";
const DEFLATE: u16 = 8;
const GZIP_HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?;
    let entries = entries(SWAGGER_UI_VENDORED)?;
    for (path, name) in WANTED {
        let entry = entries
            .iter()
            .find(|entry| entry.name.split_once('/').is_some_and(|(_top, below)| below == path))
            .ok_or_else(|| format!("the archive of Swagger UI has no {path}"))?;
        fs::write(Path::new(&folder).join(format!("{name}.gz")), entry.gzip()?)?;
    }
    Ok(())
}

/// One row of the archive's directory, and the compressed bytes it points to.
struct Entry<'a> {
    name: &'a str,
    method: u16,
    crc: u32,
    size: u32,
    deflated: &'a [u8],
}

impl Entry<'_> {
    fn gzip(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        if self.method != DEFLATE {
            return Err(format!("{} is not deflated", self.name).into());
        }
        Ok([&GZIP_HEADER[..], self.deflated, &self.crc.to_le_bytes(), &self.size.to_le_bytes()].concat())
    }
}

/// Reads the directory at the archive's end (PKWARE APPNOTE 4.3.12 and 4.3.16).
fn entries(zip: &[u8]) -> Result<Vec<Entry<'_>>, Box<dyn Error>> {
    let end = zip.windows(DIRECTORY_END.len()).rposition(|four| four == DIRECTORY_END).ok_or("not a zip archive")?;
    let count = u16_at(zip, end, 10)?;
    let mut row = usize::try_from(u32_at(zip, end, 16)?)?;
    let mut entries = Vec::new();
    for _ in 0..count {
        let name_len = usize::from(u16_at(zip, row, 28)?);
        let compressed = usize::try_from(u32_at(zip, row, 20)?)?;
        let local = usize::try_from(u32_at(zip, row, 42)?)?;
        let data = local + 30 + usize::from(u16_at(zip, local, 26)?) + usize::from(u16_at(zip, local, 28)?);
        entries.push(Entry {
            name: std::str::from_utf8(bytes(zip, row + 46, name_len)?)?,
            method: u16_at(zip, row, 10)?,
            crc: u32_at(zip, row, 16)?,
            size: u32_at(zip, row, 24)?,
            deflated: bytes(zip, data, compressed)?,
        });
        row += 46 + name_len + usize::from(u16_at(zip, row, 30)?) + usize::from(u16_at(zip, row, 32)?);
    }
    Ok(entries)
}

fn bytes(zip: &[u8], from: usize, len: usize) -> Result<&[u8], Box<dyn Error>> {
    Ok(zip.get(from..from + len).ok_or("the archive is cut short")?)
}

fn u16_at(zip: &[u8], record: usize, field: usize) -> Result<u16, Box<dyn Error>> {
    Ok(u16::from_le_bytes(bytes(zip, record + field, 2)?.try_into()?))
}

fn u32_at(zip: &[u8], record: usize, field: usize) -> Result<u32, Box<dyn Error>> {
    Ok(u32::from_le_bytes(bytes(zip, record + field, 4)?.try_into()?))
}
