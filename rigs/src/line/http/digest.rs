//! The answer to a server's digest challenge: RFC 7616 with `qop=auth`, MD5 and SHA-256,
//! and RFC 2069 for servers that name no `qop`.

use md5::{Digest, Md5};
use sha2::Sha256;

/// The header's value for this request; `None` where the challenge cannot be met.
pub(super) fn answer(
    challenge: &str,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    cnonce: &str,
) -> Option<String> {
    let fields = fields(challenge)?;
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let (realm, nonce) = (field("realm")?, field("nonce")?);
    let algorithm = field("algorithm").unwrap_or("MD5");
    let hash: fn(&str) -> String = match algorithm.to_ascii_uppercase().as_str() {
        "MD5" => |text| hex(&Md5::digest(text)),
        "SHA-256" => |text| hex(&Sha256::digest(text)),
        _ => return None,
    };
    let secret = hash(&format!("{user}:{realm}:{password}"));
    let request = hash(&format!("{method}:{uri}"));
    let quality = match field("qop") {
        None => None,
        Some(offered) => Some(offered.split(',').map(str::trim).find(|one| *one == "auth")?),
    };
    let response = match quality {
        Some(quality) => hash(&format!("{secret}:{nonce}:00000001:{cnonce}:{quality}:{request}")),
        None => hash(&format!("{secret}:{nonce}:{request}")),
    };
    let quality =
        quality.map(|it| format!(", qop={it}, nc=00000001, cnonce=\"{cnonce}\"")).unwrap_or_default();
    let opaque = field("opaque").map(|it| format!(", opaque=\"{it}\"")).unwrap_or_default();
    Some(format!(
        "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         algorithm={algorithm}, response=\"{response}\"{quality}{opaque}"
    ))
}

/// The fields of a challenge, names in lower case.
fn fields(challenge: &str) -> Option<Vec<(String, String)>> {
    let (scheme, mut rest) = challenge.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("digest") {
        return None;
    }
    let mut fields = Vec::new();
    while let Some((name, after)) = rest.split_once('=') {
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        fields.push((name.trim_matches([' ', ',']).to_ascii_lowercase(), value.trim().to_owned()));
        rest = after;
    }
    Some(fields)
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7616 section 3.9.1.
    #[test]
    fn the_examples_of_the_rfc() {
        let challenge = |algorithm: &str| {
            format!(
                "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
                 nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                 opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
            )
        };
        for (algorithm, want) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let header = answer(
                &challenge(algorithm),
                "Mufasa",
                "Circle of Life",
                "GET",
                "/dir/index.html",
                "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
            )
            .unwrap();
            assert!(header.contains(&format!("response=\"{want}\"")), "{header}");
            assert!(!header.contains("Circle"), "{header}");
        }
    }

    #[test]
    fn a_challenge_that_cannot_be_met() {
        for challenge in [
            "Basic realm=\"x\"",
            "Digest realm=\"x\"",
            "Digest realm=\"x",
            "Digest realm=\"x\", nonce=\"y\", qop=\"auth-int\"",
            "",
        ] {
            assert_eq!(answer(challenge, "u", "p", "GET", "/", "c"), None, "{challenge}");
        }
    }
}
