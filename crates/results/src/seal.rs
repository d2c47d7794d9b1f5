//! A checksum inside each part, so that no damaged byte is ever parsed.
//!
//! Polars writes no page checksums, and reading a file with one flipped bit may ask for exbibytes
//! of memory: the process aborts, which no `catch_unwind` contains. So eight bytes stand between
//! the column data and the footer: `CRC=` and the CRC-32 (as in zip, little endian) of all other
//! bytes of the file. Parquet readers find the footer from the end of the file and the data by the
//! footer's offsets, so none of them notices.
//!
//! The manifest carries its checksum as its last member, over the bytes of the file without that
//! member. It is text that people read and may have to mend, so a manifest without one is not checked.

use crate::PartProblem;

const MAGIC: &[u8] = b"PAR1";
const MARK: &[u8; 4] = b"CRC=";
const SEAL_LENGTH: usize = 8;

/// How the object ends, after its last member.
const JSON_END: &[u8] = b"\n}\n";

/// How the member with the checksum begins, after the member before it.
const JSON_SEAL: &str = ",\n  \"checksum\": \"crc32:";

/// The whole of that member: eight hexadecimal digits and a quotation mark follow.
const JSON_SEAL_LENGTH: usize = JSON_SEAL.len() + 9;

/// Puts the checksum into a Parquet file.
pub(crate) fn seal(parquet: &[u8]) -> Vec<u8> {
    let footer = footer_start(parquet).expect("a Parquet file that was just written has a footer");
    let (data, footer) = parquet.split_at(footer);
    [data, MARK, &checksum(data, footer), footer].concat()
}

/// Checks that a file is whole, sealed, and unchanged since.
pub(crate) fn check(file: &[u8]) -> Result<(), PartProblem> {
    let footer = footer_start(file).ok_or(PartProblem::Torn)?;
    let start = footer.checked_sub(SEAL_LENGTH).ok_or(PartProblem::Foreign)?;
    let (mark, stored) = file[start..footer].split_at(MARK.len());
    if mark != MARK {
        return Err(PartProblem::Foreign);
    }
    if stored == checksum(&file[..start], &file[footer..]) {
        Ok(())
    } else {
        Err(PartProblem::Damaged)
    }
}

/// Puts the checksum into a JSON object that is printed with one member a line.
pub(crate) fn seal_json(json: &[u8]) -> Vec<u8> {
    let members = json.strip_suffix(JSON_END).expect("an object of one member a line ends so");
    [members, &json_seal(json), JSON_END].concat()
}

/// Checks that a JSON object that says its checksum is unchanged since.
///
/// # Errors
/// With what is wrong, and the remedy.
pub(crate) fn check_json(json: &[u8]) -> Result<(), String> {
    let is_sealed = json.windows(JSON_SEAL.len()).any(|bytes| bytes == JSON_SEAL.as_bytes());
    let sound = || {
        let sealed = json.strip_suffix(JSON_END)?;
        let (members, seal) =
            sealed.split_at_checked(sealed.len().checked_sub(JSON_SEAL_LENGTH)?)?;
        Some(seal == json_seal(&[members, JSON_END].concat()))
    };
    if !is_sealed || sound() == Some(true) {
        return Ok(());
    }
    Err("its bytes do not match its `checksum`; if you changed it yourself, take that member out"
        .to_owned())
}

/// The member that holds the checksum of a JSON object.
fn json_seal(json: &[u8]) -> Vec<u8> {
    format!("{JSON_SEAL}{:08x}\"", crc32fast::hash(json)).into_bytes()
}

/// Where the footer starts: a Parquet file ends in the footer, its length, and the magic bytes.
fn footer_start(file: &[u8]) -> Option<usize> {
    let (rest, length) = file.strip_suffix(MAGIC)?.split_last_chunk::<4>()?;
    rest.len().checked_sub(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

fn checksum(data: &[u8], footer: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(data);
    hasher.update(footer);
    hasher.finalize().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four magic bytes, data, a footer of three bytes, its length, four magic bytes.
    const PARQUET: &[u8] = b"PAR1datafoo\x03\0\0\0PAR1";

    #[test]
    fn every_single_flip_is_found() {
        let sealed = seal(PARQUET);
        // CRC-32 of the 19 bytes of PARQUET, from Python's zlib.crc32.
        assert_eq!(&sealed[8..16], b"CRC=\xF3\x85\x32\xF6");
        assert!(check(&sealed).is_ok());
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(check(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_single_flip_in_a_json_object_is_found_or_harmless() {
        let json = b"{\n  \"bound\": 4000\n}\n";
        let sealed = seal_json(json);
        // CRC-32 of the 20 bytes, from Python's zlib.crc32.
        let expected = "{\n  \"bound\": 4000,\n  \"checksum\": \"crc32:ad0098b4\"\n}\n";
        assert_eq!(String::from_utf8_lossy(&sealed), expected);
        assert_eq!(check_json(&sealed), Ok(()));
        assert_eq!(check_json(json), Ok(()), "nothing says what it should be");
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // A flip that hides the checksum cannot touch the rest.
            let is_hidden =
                bit / 8 >= json.len() - 3 && flipped.starts_with(&json[..json.len() - 3]);
            assert!(check_json(&flipped).is_err() || is_hidden, "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_found() {
        let sealed = seal(PARQUET);
        for length in 0..sealed.len() {
            assert!(check(&sealed[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(check(PARQUET), Err(PartProblem::Foreign)));
        assert!(matches!(check(b"{}"), Err(PartProblem::Torn)));
    }
}
