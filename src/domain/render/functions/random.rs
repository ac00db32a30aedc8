//! Text that looks random and never changes by itself.
//!
//! It is derived by HMAC-SHA256 from the environment's identity and the label that the call gives. So two environments differ, two
//! labels of one environment differ, and rendering again gives the same. **It is no secret**: whoever knows the bundle and the
//! environment's name can compute it, unless the call adds a seed that is one, for example a value that only the Project knows.

use aws_lc_rs::hmac;
use serde_json::Value;

use super::arguments::Arguments;
use super::encoding::hexadecimal;
use super::{Function, function};

/// The longest text.
const MAX_LENGTH: usize = 1_000;
/// How many seeds a call may add.
const MAX_SEEDS: usize = 4;

const DIGITS: &[u8] = b"0123456789";
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LETTERS_AND_DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

pub(super) const FUNCTIONS: &[Function] = &[
    function(
        "randAlphaNum",
        (2, 2 + MAX_SEEDS),
        "{{randAlphaNum LENGTH LABEL SEED…}}",
        "Letters and digits, the same whenever this environment is rendered. Not secret unless a SEED is.",
        |args| random("randAlphaNum", args, LETTERS_AND_DIGITS),
    ),
    function(
        "randAlpha",
        (2, 2 + MAX_SEEDS),
        "{{randAlpha LENGTH LABEL SEED…}}",
        "The same with letters only.",
        |args| random("randAlpha", args, LETTERS),
    ),
    function(
        "randNumeric",
        (2, 2 + MAX_SEEDS),
        "{{randNumeric LENGTH LABEL SEED…}}",
        "The same with digits only.",
        |args| random("randNumeric", args, DIGITS),
    ),
    function(
        "uuidv4",
        (1, 1 + MAX_SEEDS),
        "{{uuidv4 LABEL SEED…}}",
        "A UUID, the same whenever this environment is rendered.",
        |args| {
            let mut bytes: Vec<u8> = stream("uuidv4", args, 0)?.take(16).collect();
            bytes[6] = bytes[6] & 0x0f | 0x40;
            bytes[8] = bytes[8] & 0x3f | 0x80;
            let digits = hexadecimal(&bytes);
            Ok(format!(
                "{}-{}-{}-{}-{}",
                &digits[..8],
                &digits[8..12],
                &digits[12..16],
                &digits[16..20],
                &digits[20..]
            )
            .into())
        },
    ),
];

fn random(name: &'static str, args: &Arguments<'_>, alphabet: &'static [u8]) -> Result<Value, String> {
    let length = args.count(0, MAX_LENGTH)?;
    // Bytes beyond the last whole multiple of the alphabet would make its first characters more frequent.
    let limit = 256 - 256 % alphabet.len();
    let text: String = stream(name, args, 1)?
        .map(usize::from)
        .filter(|byte| *byte < limit)
        .take(length)
        .map(|byte| char::from(alphabet[byte % alphabet.len()]))
        .collect();
    Ok(text.into())
}

/// Bytes without end that follow from the environment, the helper, and the arguments from `label` on.
fn stream(name: &'static str, args: &Arguments<'_>, label: usize) -> Result<impl Iterator<Item = u8> + use<>, String> {
    let mut message = Vec::new();
    let mut write = |part: &str| {
        message.extend((part.len() as u64).to_be_bytes());
        message.extend(part.as_bytes());
    };
    for pointer in ["/repository/id", "/project/namespace", "/project/name", "/environment/name"] {
        write(args.context.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
    }
    write(name);
    for index in label..args.len() {
        write(&args.text(index)?);
    }
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"graftling template random v1");
    Ok((0_u64..).flat_map(move |block| {
        let counted = [message.as_slice(), &block.to_be_bytes()].concat();
        hmac::sign(&key, &counted).as_ref().to_vec()
    }))
}
