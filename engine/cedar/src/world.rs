//! Entities that many asks share, kept by uid.

use crate::packed::Packed;
use crate::question::Cache;
use crate::types::{entity_references, Vocabulary};
use cedar_policy_core::ast::{Entity, EntityType, EntityUID};
use cedar_policy_core::entities::{Entities, TCComputation};
use cedar_policy_core::extensions::Extensions;
use cedar_policy_core::validator::CoreSchema;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// An entity with all its ancestors, and what it refers to.
pub struct Node {
    pub entity: Arc<Entity>,
    pub references: Vec<EntityUID>,
}

pub struct World {
    pub vocabulary: Arc<Vocabulary>,
    pub nodes: HashMap<EntityUID, Node>,
    /// Types of which there are entities.
    pub kinds: HashSet<EntityType>,
    pub cache: Cache,
}

impl Node {
    pub fn new(entity: Arc<Entity>) -> Self {
        let mut references = Vec::new();
        entity_references(&entity, &mut |uid| references.push(uid.clone()));
        Node { entity, references }
    }
}

impl World {
    /// Checks every entity against the schema and closes the hierarchy.
    pub fn build(vocabulary: &Arc<Vocabulary>, entities: &Packed) -> Result<Self, String> {
        let list = entities.list().ok_or("entities are not an array")?;
        let list: Result<Vec<_>, _> = list.iter().map(|e| vocabulary.entity(e)).collect();
        let schema = CoreSchema::new(vocabulary.schema.as_ref());
        let all = Entities::from_entities(
            list?,
            Some(&schema),
            TCComputation::ComputeNow,
            Extensions::all_available(),
        )
        .map_err(|e| {
            let mut text = e.to_string();
            let mut cause = std::error::Error::source(&e);
            while let Some(next) = cause {
                text = format!("{text}: {next}");
                cause = next.source();
            }
            text
        })?;
        let nodes: HashMap<_, _> = all
            .into_iter()
            .filter(|entity| !entity.uid().is_action())
            .map(|entity| (entity.uid().clone(), Node::new(Arc::new(entity))))
            .collect();
        Ok(World {
            vocabulary: vocabulary.clone(),
            kinds: nodes
                .keys()
                .map(|uid: &EntityUID| uid.entity_type().clone())
                .collect(),
            nodes,
            cache: Cache::default(),
        })
    }
}
