//! What was asked for: the parameters of the address and those of a form, as one list.

use super::failure::Failure;

/// The most parameters of one question: a `match[]` for each of a team's metrics is a hundred.
const MOST_PARAMETERS: usize = 1_000;

/// Names and values; those of the form first, as they count first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads the query of an address and the body of a form.
    pub(crate) fn read(address: &str, body: &[u8]) -> Result<Self, Failure> {
        let mut all = Vec::new();
        let parts =
            [body, address.as_bytes()].into_iter().flat_map(|part| part.split(|b| *b == b'&'));
        for part in parts.filter(|part| !part.is_empty()) {
            if all.len() == MOST_PARAMETERS {
                let text = format!("error parsing form values: more than {MOST_PARAMETERS}");
                return Err(Failure::bad(text));
            }
            let mut halves = part.splitn(2, |b| *b == b'=');
            let name = decoded(halves.next().unwrap_or_default())?;
            all.push((name, decoded(halves.next().unwrap_or_default())?));
        }
        Ok(Self(all))
    }

    /// The first value of `name`; what is not there is empty.
    pub(crate) fn get(&self, name: &str) -> &str {
        let first = self.0.iter().find(|(own, _)| own == name);
        first.map_or("", |(_, value)| value.as_str())
    }

    /// Every value of `name`.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(own, _)| own == name).map(|(_, value)| value.as_str())
    }
}

/// A text of a form or an address: `+` is a space, `%41` a byte.
fn decoded(text: &[u8]) -> Result<String, Failure> {
    let text = percent_decoded(text, b'+');
    text.ok_or_else(|| Failure::bad("error parsing form values: invalid URL escape"))
}

/// A part of a path.
pub(super) fn of_path(text: &str) -> Option<String> {
    percent_decoded(text.as_bytes(), 0)
}

fn percent_decoded(text: &[u8], space: u8) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.iter().copied();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || rest.next().and_then(|digit| char::from(digit).to_digit(16));
            let value = digit()?.checked_mul(16)?.checked_add(digit()?)?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(if byte == space { b' ' } else { byte });
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_an_address_are_one_list_and_the_form_comes_first() {
        let form = Form::read("query=a&match%5B%5D=x", b"query=1%2B1+%2F+2&match[]=y&&z").unwrap();
        assert_eq!(form.get("query"), "1+1 / 2");
        assert_eq!(form.all("match[]").collect::<Vec<_>>(), ["y", "x"]);
        assert_eq!((form.get("z"), form.get("none")), ("", ""));
    }

    #[test]
    fn what_is_no_form_is_refused() {
        for wrong in ["a=%", "a=%4", "a=%zz", "%ff=1", "a=%C3"] {
            assert!(Form::read(wrong, b"").is_err(), "{wrong}");
        }
        assert!(Form::read(&"a&".repeat(MOST_PARAMETERS), b"").is_ok());
        assert!(Form::read("", &b"a&".repeat(MOST_PARAMETERS + 1)).is_err());
        assert_eq!(Form::read("=", b"&&").unwrap().get(""), "");
    }
}
