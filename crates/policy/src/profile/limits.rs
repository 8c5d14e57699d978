//! `[limits]`.

use super::values::Reader;
use crate::model::Limits;
use crate::value::{Complaint, duration, positive, seconds, size};
use crate::vocabulary::{LIMITS, Measure};
use toml::Spanned;
use toml::de::DeValue;

/// Reads the table.
pub fn read(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = reader.table(value, "limits") else { return limits };
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let Some((_, measure, _)) = LIMITS.iter().find(|(known, ..)| *known == name) else {
            reader.unknown(name, key.span(), "limits", &LIMITS.map(|(known, ..)| known));
            continue;
        };
        let amount = amount(reader, name, *measure, value);
        if let Some(place) = field(&mut limits, name) {
            *place = amount;
        }
    }
    limits
}

/// The limit of this name.
pub fn field<'l>(limits: &'l mut Limits, name: &str) -> Option<&'l mut Option<u64>> {
    Some(match name {
        "memory" => &mut limits.memory,
        "processes" => &mut limits.processes,
        "time" => &mut limits.time,
        "tmpfs" => &mut limits.tmpfs,
        "tmpfs-files" => &mut limits.tmpfs_files,
        "open-files" => &mut limits.open_files,
        _ => return None,
    })
}

fn amount(
    reader: &mut Reader<'_>,
    name: &str,
    measure: Measure,
    value: &Spanned<DeValue<'_>>,
) -> Option<u64> {
    let expected = match measure {
        Measure::Bytes => "a size such as \"512M\"",
        Measure::Count => "a number",
        Measure::Seconds => "a duration such as \"10m\"",
    };
    let result = match (value.get_ref(), measure) {
        (DeValue::Integer(integer), _) => {
            match u64::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(number) if i64::try_from(number).is_err() => {
                    Err(Complaint::new(format!("`{name}` is too large"), "too large"))
                }
                Ok(number) if measure == Measure::Seconds => seconds(number),
                Ok(number) => positive(number),
                Err(_) => Err(Complaint::new(
                    format!("`{name}` is no number from 1 to 2^63-1"),
                    "out of range",
                )),
            }
        }
        (DeValue::String(text), Measure::Bytes) => size(&text.chars().take(40).collect::<String>()),
        (DeValue::String(text), Measure::Seconds) => {
            duration(&text.chars().take(40).collect::<String>())
        }
        _ => {
            reader.wrong(value, name, expected);
            return None;
        }
    };
    result.map_err(|complaint| reader.complain(complaint, value.span())).ok()
}
