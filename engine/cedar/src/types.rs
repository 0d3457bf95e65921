//! Names of the schema and values in Cedar's JSON form.

use crate::packed::Packed;
use cedar_policy::Schema;
use cedar_policy_core::ast::{self, EntityType, EntityUID, PartialValue, Value, ValueKind};
use cedar_policy_core::entities::conformance::EntitySchemaConformanceChecker;
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::{CoreSchema, ValidatorEntityTypeKind, ValidatorSchema};
use serde_json::{json, Value as Json};
use smol_str::SmolStr;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What a schema names, so that no name is parsed while asking.
pub struct Vocabulary {
    pub schema: Schema,
    /// The schema's text: worlds and bundles fit if it is the same.
    pub source: String,
    types: HashMap<String, EntityType>,
    actions: HashMap<EntityUID, Arc<ast::Entity>>,
    functions: HashMap<&'static str, ast::Name>,
    /// Enumerated types: their members as values.
    enums: HashMap<EntityType, HashMap<SmolStr, Value>>,
    /// The enumerated type called Evidence, if there is one.
    pub evidence: Option<EntityType>,
    /// Its members in the schema's order.
    pub evidence_members: Vec<SmolStr>,
}

impl Vocabulary {
    pub fn new(schema: Schema, source: &str) -> Result<Self, String> {
        let core: &ValidatorSchema = schema.as_ref();
        let mut types = HashMap::new();
        let mut evidence = None;
        let mut evidence_members = Vec::new();
        let mut enums = HashMap::new();
        for known in core.entity_types() {
            let name = known.name().clone();
            if let ValidatorEntityTypeKind::Enum(members) = &known.kind {
                enums.insert(name.clone(), values_of(&name, members.iter()));
                if name.name().basename().to_string() == "Evidence" {
                    evidence = Some(name.clone());
                    evidence_members = members
                        .iter()
                        .map(|id| SmolStr::new(AsRef::<str>::as_ref(id)))
                        .collect();
                }
            }
            types.insert(name.to_string(), name);
        }
        let mut actions = HashMap::new();
        for action in core.action_entities().map_err(|e| e.to_string())?.iter() {
            let kind = action.uid().entity_type().clone();
            types.insert(kind.to_string(), kind);
            actions.insert(action.uid().clone(), Arc::new(action.clone()));
        }
        let mut functions = HashMap::new();
        for name in ["ip", "decimal", "datetime", "duration"] {
            let parsed = ast::Name::parse_unqualified_name(name).map_err(|e| e.to_string())?;
            functions.insert(name, parsed);
        }
        Ok(Vocabulary {
            schema,
            source: source.into(),
            types,
            actions,
            functions,
            enums,
            evidence,
            evidence_members,
        })
    }

    pub fn known_kind(&self, name: &str) -> Option<EntityType> {
        self.types.get(name).cloned()
    }

    fn kind(&self, name: &str) -> Result<&EntityType, String> {
        self.types
            .get(name)
            .ok_or_else(|| format!("the schema has no entity type '{name}'"))
    }

    /// {"type", "id"}, or that within "__entity".
    pub fn uid(&self, value: &Packed) -> Result<EntityUID, String> {
        let value = value.get("__entity").unwrap_or(value);
        let text = |name| value.get(name).and_then(Packed::text);
        match (value.record().map(<[_]>::len), text("type"), text("id")) {
            (Some(2), Some(kind), Some(id)) => Ok(self.make_uid(self.kind(kind)?, id)),
            _ => Err("an entity is not {\"type\", \"id\"}".into()),
        }
    }

    fn make_uid(&self, kind: &EntityType, id: &str) -> EntityUID {
        EntityUID::from_components(kind.clone(), ast::Eid::new(id), None)
    }

    /// An action by its bare name, in the namespace of the principal's type, or
    /// as {"type", "id"}.
    pub fn action(
        &self,
        value: &Packed,
        principal: &EntityUID,
    ) -> Result<Arc<ast::Entity>, String> {
        let uid = match value.text() {
            None => self.uid(value)?,
            Some(id) => {
                let kind = principal.entity_type().to_string();
                let kind = match kind.rsplit_once("::") {
                    Some((namespace, _)) => format!("{namespace}::Action"),
                    None => "Action".into(),
                };
                self.make_uid(self.kind(&kind)?, id)
            }
        };
        self.known_action(&uid)
    }

    pub fn known_action(&self, uid: &EntityUID) -> Result<Arc<ast::Entity>, String> {
        self.actions
            .get(uid)
            .cloned()
            .ok_or_else(|| format!("the schema has no action {uid}"))
    }

    fn call(&self, value: &Packed) -> Result<Value, String> {
        let name = value.get("fn").and_then(Packed::text);
        let (Some(name), Some(arg)) = (name, value.get("arg").and_then(Packed::text)) else {
            return Err("__extn is not {\"fn\", \"arg\"}".into());
        };
        self.extension(name, arg)
    }

    /// A value of an extension type, such as duration("15m").
    pub fn extension(&self, name: &str, arg: &str) -> Result<Value, String> {
        let function = self
            .functions
            .get(name)
            .ok_or_else(|| format!("no extension function '{name}'"))?;
        let function = Extensions::all_available()
            .func(function)
            .map_err(|e| e.to_string())?;
        let value = function
            .call(&[Value::from(arg)])
            .map_err(|_| format!("'{}' is no {name}", shorten(arg)))?;
        Value::try_from(value).map_err(|e| e.to_string())
    }

    /// A value in Cedar's JSON form, with __entity and __extn spelt out.
    pub fn value(&self, value: &Packed) -> Result<Value, String> {
        match value {
            Packed::Null => Err("null is no Cedar value".into()),
            Packed::Bool(flag) => Ok(Value::from(*flag)),
            Packed::Int(number) => Ok(Value::from(*number)),
            Packed::Text(text) => Ok(Value::from(*text)),
            Packed::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|v| self.value(v)).collect();
                Ok(Value::set(items?, None))
            }
            Packed::Record(members) => match members.as_slice() {
                [("__entity", uid)] => Ok(Value::from(self.uid(uid)?)),
                [("__extn", call)] => self.call(call),
                _ => {
                    let members: Result<Vec<_>, String> = members
                        .iter()
                        .map(|(name, v)| Ok((SmolStr::new(name), self.value(v)?)))
                        .collect();
                    Ok(Value::record(members?, None))
                }
            },
        }
    }

    fn attributes(
        &self,
        entity: &Packed,
        name: &str,
    ) -> Result<Vec<(SmolStr, PartialValue)>, String> {
        let Some(members) = entity.get(name) else {
            return Ok(Vec::new());
        };
        let members = members
            .record()
            .ok_or_else(|| format!("an entity's {name} are not an object"))?;
        members
            .iter()
            .map(|(name, v)| Ok((SmolStr::new(name), PartialValue::Value(self.value(v)?))))
            .collect()
    }

    /// An entity in Cedar's JSON form; ancestors are its parents alone.
    pub fn entity(&self, value: &Packed) -> Result<ast::Entity, String> {
        value.check_members("entity", &["uid", "attrs", "parents", "tags"])?;
        let uid = self.uid(value.get("uid").ok_or("an entity without uid")?)?;
        let mut parents = HashSet::new();
        if let Some(list) = value.get("parents") {
            for parent in list.list().ok_or("an entity's parents are not an array")? {
                parents.insert(self.uid(parent)?);
            }
        }
        if uid.is_action() {
            return Err(format!("{uid}: actions are the schema's"));
        }
        let attrs = self
            .attributes(value, "attrs")
            .map_err(|e| format!("{uid}: {e}"))?;
        let tags = self
            .attributes(value, "tags")
            .map_err(|e| format!("{uid}: {e}"))?;
        Ok(ast::Entity::new_with_attr_partial_value(
            uid,
            attrs,
            HashSet::new(),
            parents,
            tags,
        ))
    }

    /// Whether an entity is as its type's declaration says.
    pub fn check_entity(&self, entity: &ast::Entity) -> Result<(), String> {
        let core: &ValidatorSchema = self.schema.as_ref();
        let schema = CoreSchema::new(core);
        EntitySchemaConformanceChecker::new(&schema, Extensions::all_available())
            .validate_entity(entity)
            .map_err(|e| e.to_string())
    }

    /// A member of an enumerated type as a value.
    pub fn member(&self, kind: &EntityType, id: &str) -> Option<Value> {
        self.enums.get(kind)?.get(id).cloned()
    }

    /// The first member of an enumerated type, or an empty text.
    pub fn first_member(&self, kind: &EntityType) -> &str {
        let members = self.enums.get(kind).map(HashMap::keys);
        members
            .into_iter()
            .flatten()
            .next()
            .map_or("", SmolStr::as_str)
    }

    /// A kind of evidence as a value; it need not be one the schema knows.
    pub fn evidence_value(&self, id: &str) -> Option<Value> {
        let kind = self.evidence.as_ref()?;
        let known = self.member(kind, id);
        known.or_else(|| Some(Value::from(self.make_uid(kind, id))))
    }

    /// Enumerated types and their members.
    pub fn enumerations(&self) -> Json {
        let core: &ValidatorSchema = self.schema.as_ref();
        let mut all = serde_json::Map::new();
        for known in core.entity_types() {
            if let ValidatorEntityTypeKind::Enum(members) = &known.kind {
                let members: Vec<&str> = members.iter().map(AsRef::as_ref).collect();
                all.insert(known.name().to_string(), json!(members));
            }
        }
        Json::Object(all)
    }
}

fn values_of<'m>(
    kind: &EntityType,
    members: impl Iterator<Item = &'m ast::Eid>,
) -> HashMap<SmolStr, Value> {
    members
        .map(|eid| {
            let uid = EntityUID::from_components(kind.clone(), eid.clone(), None);
            (SmolStr::new(AsRef::<str>::as_ref(eid)), Value::from(uid))
        })
        .collect()
}

/// Text from outside, short enough for a message.
pub fn shorten(text: &str) -> String {
    text.chars().take(60).collect()
}

/// Calls `see` with each entity that a policy could reach from the value.  No
/// policy can take a member out of a set and look into it, so sets are left
/// out: this is what keeps a class that names ten thousand agents cheap.
pub fn references(value: &Value, see: &mut impl FnMut(&EntityUID)) {
    match &value.value {
        ValueKind::Lit(ast::Literal::EntityUID(uid)) => see(uid),
        ValueKind::Record(members) => members.values().for_each(|v| references(v, see)),
        ValueKind::Lit(_) | ValueKind::Set(_) | ValueKind::ExtensionValue(_) => {}
    }
}

pub fn entity_references(entity: &ast::Entity, see: &mut impl FnMut(&EntityUID)) {
    for (_, value) in entity.attrs().chain(entity.tags()) {
        if let PartialValue::Value(value) = value {
            references(value, see);
        }
    }
}

impl Vocabulary {
    /// A request that the schema allows.
    pub fn request(
        &self,
        principal: &EntityUID,
        action: &EntityUID,
        resource: &EntityUID,
        context: &std::collections::BTreeMap<SmolStr, Value>,
    ) -> Result<ast::Request, String> {
        let core: &ValidatorSchema = self.schema.as_ref();
        ast::Request::new(
            (principal.clone(), None),
            (action.clone(), None),
            (resource.clone(), None),
            ast::Context::Value(Arc::new(context.clone())),
            Some(core),
            Extensions::all_available(),
        )
        .map_err(|e| e.to_string())
    }
}
