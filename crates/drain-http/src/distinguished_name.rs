//! The readable part of an X.509 distinguished name, for error messages.
//!
//! Messages name the issuer of a certificate that was refused. A whole X.509 parser for that one line would cost more
//! than the walk below, which skips whatever it does not know.

/// The common name and the organisation in `name`, the contents of a DER `Name` without its outer `SEQUENCE`, such as
/// `CN=Nomad Agent CA, O=HashiCorp Inc.`; `None` if it has neither.
pub(crate) fn readable(name: &[u8]) -> Option<String> {
    const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
    const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];
    let mut parts = Vec::new();
    // Name ::= SEQUENCE OF SET OF SEQUENCE { type OBJECT IDENTIFIER, value ANY }
    let mut sets = name;
    while let Some((set, rest)) = element(sets) {
        sets = rest;
        let mut attributes = set;
        while let Some((attribute, rest)) = element(attributes) {
            attributes = rest;
            let Some((kind, value)) = element(attribute) else { continue };
            let Some((text, _)) = element(value) else { continue };
            let label = match kind {
                COMMON_NAME => "CN",
                ORGANIZATION => "O",
                _ => continue,
            };
            // Control characters of a stranger's certificate have no business in a log line.
            let text: String = String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).collect();
            parts.push(format!("{label}={text}"));
        }
    }
    parts.sort();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// The contents of the first DER element of `bytes`, and what follows it.
fn element(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = bytes.get(1..)?.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=3).contains(&count) {
            return None;
        }
        let length = rest.get(..count)?.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte));
        (length, &rest[count..])
    };
    Some((rest.get(..length)?, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CN=ca, O=Lab, as openssl encodes it: C=DE first, which is skipped.
    const NAME: &[u8] = b"\x31\x0b0\x09\x06\x03\x55\x04\x06\x13\x02DE\x31\x0c0\x0a\x06\x03\x55\x04\x0a\x0c\x03Lab\x31\x0b0\x09\x06\x03\x55\x04\x03\x0c\x02ca";

    #[test]
    fn common_name_and_organisation_are_read() {
        assert_eq!(readable(NAME).as_deref(), Some("CN=ca, O=Lab"));
    }

    #[test]
    fn a_name_that_is_cut_off_anywhere_does_no_harm() {
        for end in 0..NAME.len() {
            let _ = readable(&NAME[..end]);
        }
        assert_eq!(readable(b""), None);
    }
}
