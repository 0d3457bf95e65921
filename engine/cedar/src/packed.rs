//! The packed form of JSON in which C hands values over (writ_cedar.h): read in
//! place, strings borrowed.

/// A value whose strings lie in the caller's bytes.
#[derive(Debug)]
pub enum Packed<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    List(Vec<Packed<'a>>),
    Record(Vec<(&'a str, Packed<'a>)>),
}

/// Nested lists and records; the writer in C has its own, smaller limit.
const DEPTH_MAX: usize = 64;

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        if self.rest.len() < count {
            return Err("packed value is cut short".into());
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn count(&mut self) -> Result<usize, String> {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(self.take(4)?);
        Ok(u32::from_ne_bytes(bytes) as usize)
    }

    fn int(&mut self) -> Result<i64, String> {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(self.take(8)?);
        Ok(i64::from_ne_bytes(bytes))
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let count = self.count()?;
        std::str::from_utf8(self.take(count)?).map_err(|_| "text is not UTF-8".into())
    }

    fn value(&mut self, depth: usize) -> Result<Packed<'a>, String> {
        if depth > DEPTH_MAX {
            return Err("packed value is nested too deeply".into());
        }
        match self.take(1)?[0] {
            b'n' => Ok(Packed::Null),
            b'f' => Ok(Packed::Bool(false)),
            b't' => Ok(Packed::Bool(true)),
            b'i' => Ok(Packed::Int(self.int()?)),
            b's' => Ok(Packed::Text(self.text()?)),
            b'a' => {
                let count = self.count()?;
                let mut list = Vec::with_capacity(count.min(self.rest.len()));
                for _ in 0..count {
                    list.push(self.value(depth + 1)?);
                }
                Ok(Packed::List(list))
            }
            b'o' => {
                let count = self.count()?;
                let mut record = Vec::with_capacity(count.min(self.rest.len() / 5));
                for _ in 0..count {
                    let name = self.text()?;
                    record.push((name, self.value(depth + 1)?));
                }
                Ok(Packed::Record(record))
            }
            _ => Err("packed value has an unknown type".into()),
        }
    }
}

impl<'a> Packed<'a> {
    /// Reads one value and nothing after it.
    pub fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut reader = Reader { rest: bytes };
        let value = reader.value(0)?;
        if !reader.rest.is_empty() {
            return Err("bytes after the packed value".into());
        }
        Ok(value)
    }

    pub fn record(&self) -> Option<&[(&'a str, Packed<'a>)]> {
        match self {
            Packed::Record(members) => Some(members),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Packed<'a>]> {
        match self {
            Packed::List(items) => Some(items),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&'a str> {
        match self {
            Packed::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A member of a record.
    pub fn get(&self, name: &str) -> Option<&Packed<'a>> {
        self.record()?
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// A record whose members are all among `names`, so that a misspelt one is
    /// noticed.
    pub fn check_members(&self, what: &str, names: &[&str]) -> Result<(), String> {
        let members = self
            .record()
            .ok_or_else(|| format!("{what} is not an object"))?;
        match members.iter().find(|(key, _)| !names.contains(key)) {
            Some((key, _)) => Err(format!("{what} has an unknown member '{key}'")),
            None => Ok(()),
        }
    }
}
