//! Verbs about roles and about whose pools and agents are.

use super::ask::Ask;
use super::{Client, Error};
use crate::api::{Ownership, Page, PageQuery, PutRole, Role, RoleBinding};

impl Client {
    /// Lists roles.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn roles(&self, page: &PageQuery) -> Result<Page<Role>, Error> {
        self.send(Ask::get(["roles"]).with_fields(page)?).await
    }

    /// Makes a role, or changes what it allows.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_role(&self, name: &str, role: &PutRole) -> Result<Role, Error> {
        self.send(self.put(["roles", name]).body(role)?).await
    }

    /// Removes a role and its bindings.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn remove_role(&self, name: &str) -> Result<(), Error> {
        self.tell(self.delete(["roles", name])).await
    }

    /// Lists to whom roles are bound.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn role_bindings(&self, page: &PageQuery) -> Result<Page<RoleBinding>, Error> {
        self.send(Ask::get(["role-bindings"]).with_fields(page)?).await
    }

    /// Binds a role.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn bind_role(&self, binding: &RoleBinding) -> Result<RoleBinding, Error> {
        self.send(self.post(["role-bindings"]).body(binding)?).await
    }

    /// Ends a binding.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn unbind_role(&self, binding: &RoleBinding) -> Result<(), Error> {
        self.tell(self.post(["role-bindings", "remove"]).body(binding)?).await
    }

    /// Lists whose pools and agents are.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn ownerships(&self, page: &PageQuery) -> Result<Page<Ownership>, Error> {
        self.send(Ask::get(["ownerships"]).with_fields(page)?).await
    }

    /// Gives a pool or an agent to a workspace, or back to everybody.
    ///
    /// # Errors
    /// When the node cannot be asked or refuses.
    pub async fn put_ownership(&self, ownership: &Ownership) -> Result<Ownership, Error> {
        self.send(self.put(["ownerships"]).body(ownership)?).await
    }
}
