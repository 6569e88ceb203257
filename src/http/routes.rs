//! The routes, each with what it needs.
//!
//! [`Routes`] is the only way to add a handler, and it cannot be done without saying what the caller needs:
//! a route that nobody declared does not exist. What is declared is checked by [`Checked`] before the handler
//! sees the request, and before its body is read.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use synod_domain::permission::Permission;

use crate::http::checked::Checked;
use crate::http::idempotency::Again;
use crate::http::problem::Forms;
use crate::http::reach::{Reach, Thing};
use crate::http::{Context, Problem, ProblemForm};

/// What a route needs of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing, not even a token. Only whether the process lives is told so freely.
    Nothing,
    /// A valid token, whatever it allows.
    AnyToken,
    /// A token that allows this.
    Permission(Permission),
}

impl Needs {
    /// Says that the route may wait or stream for longer than ordinary requests may take. Its handler ends by
    /// itself when [`Context::stopping`] says so.
    pub const fn long(self) -> Terms {
        Terms { long: true, local: true, ..Terms::of(self) }
    }

    /// Says that the route gives a list that is gathered from all regions when `region=*` asks for that.
    pub const fn gathered(self) -> Terms {
        Terms { gathered: true, ..Terms::of(self) }
    }

    /// Says that the route shows what this node knows by itself, so that it answers although nobody leads.
    pub const fn local(self) -> Terms {
        Terms { local: true, ..Terms::of(self) }
    }

    /// Says that the route shows and changes what is of the workspace of its caller, if they are bound to one.
    pub const fn own(self) -> Terms {
        Terms::of(self).own()
    }

    /// Says that the route shows nothing of any workspace.
    pub const fn anybody(self) -> Terms {
        Terms { reach: Reach::Anybody, ..Terms::of(self) }
    }

    /// Says what the path names, which must be of the workspace of a caller who is bound to one.
    pub const fn of(self, thing: Thing) -> Terms {
        Terms::of(self).about(thing)
    }

    /// Says that a change counts once under its `Idempotency-Key`.
    pub const fn once(self) -> Terms {
        Terms::of(self).once()
    }

    /// Says that a change may be asked for again without one: twice is as good as once.
    pub const fn freely(self) -> Terms {
        Terms { again: Again::Freely, ..Terms::of(self) }
    }
}

/// On which terms a route is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// What it needs of its caller.
    pub needs: Needs,
    /// Whether it may take longer than ordinary requests.
    pub long: bool,
    /// Whether it speaks of this node alone and not of what is agreed.
    pub local: bool,
    /// Whether it gives a list that may be gathered from all regions.
    pub gathered: bool,
    /// What becomes of a change that is asked for again.
    pub again: Again,
    /// What it reaches for a caller who is bound to a workspace.
    pub reach: Reach,
}

impl Terms {
    const fn of(needs: Needs) -> Self {
        let (long, local, gathered) = (false, false, false);
        Self { needs, long, local, gathered, again: Again::Unknown, reach: Reach::Operator }
    }

    /// Says that the route shows and changes what is of the workspace of its caller, if they are bound to one.
    #[must_use]
    pub const fn own(self) -> Self {
        Self { reach: Reach::Own, ..self }
    }

    /// Says what the path names, which must be of the workspace of a caller who is bound to one.
    #[must_use]
    pub const fn about(self, thing: Thing) -> Self {
        Self { reach: Reach::Of(thing), ..self }
    }

    /// Says that a change counts once under its `Idempotency-Key`; the handler takes a
    /// [`Once`](crate::http::idempotency::Once) and proposes under it.
    #[must_use]
    pub const fn once(self) -> Self {
        Self { again: Again::Once, ..self }
    }

    /// Tells what becomes of a request of this method that is sent again.
    pub fn again(&self, method: &Method) -> Again {
        let looks = *method == Method::GET || *method == Method::HEAD;
        if looks { Again::Freely } else { self.again }
    }

    /// Says that what is read is agreed state although the route may take longer than others.
    #[must_use]
    pub const fn agreed(self) -> Self {
        Self { local: false, ..self }
    }

    /// Tells whether a request of this method reads agreed state, and so is answered as of now unless it says that
    /// older will do.
    pub fn reads(&self, method: &Method) -> bool {
        let looks = *method == Method::GET || *method == Method::HEAD;
        looks && !self.local && matches!(self.needs, Needs::Permission(_))
    }
}

impl From<Needs> for Terms {
    fn from(needs: Needs) -> Self {
        Self::of(needs)
    }
}

/// One route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it needs of its caller.
    pub needs: Needs,
    /// Whether it may take longer than ordinary requests.
    pub long: bool,
    /// Whether it reads agreed state, and takes `consistency`.
    pub reads: bool,
    /// What becomes of a request that is sent again.
    pub again: Again,
    /// What it reaches for a caller who is bound to a workspace.
    pub reach: Reach,
}

/// Routes and the table of what they need.
#[derive(Debug, Default)]
pub struct Routes {
    router: Router<Context>,
    table: Vec<Route>,
    forms: Forms,
}

impl Routes {
    /// Adds a GET; HEAD is answered likewise.
    #[must_use]
    pub fn get<H: Handler<T, Context>, T: 'static>(
        self,
        path: &'static str,
        terms: impl Into<Terms>,
        handler: H,
    ) -> Self {
        self.on(Method::GET, MethodFilter::GET, path, terms.into(), handler)
    }

    /// Adds a POST.
    #[must_use]
    pub fn post<H: Handler<T, Context>, T: 'static>(
        self,
        path: &'static str,
        terms: impl Into<Terms>,
        handler: H,
    ) -> Self {
        self.on(Method::POST, MethodFilter::POST, path, terms.into(), handler)
    }

    /// Adds a PUT.
    #[must_use]
    pub fn put<H: Handler<T, Context>, T: 'static>(
        self,
        path: &'static str,
        terms: impl Into<Terms>,
        handler: H,
    ) -> Self {
        self.on(Method::PUT, MethodFilter::PUT, path, terms.into(), handler)
    }

    /// Adds a PATCH.
    #[must_use]
    pub fn patch<H: Handler<T, Context>, T: 'static>(
        self,
        path: &'static str,
        terms: impl Into<Terms>,
        handler: H,
    ) -> Self {
        self.on(Method::PATCH, MethodFilter::PATCH, path, terms.into(), handler)
    }

    /// Adds a DELETE.
    #[must_use]
    pub fn delete<H: Handler<T, Context>, T: 'static>(
        self,
        path: &'static str,
        terms: impl Into<Terms>,
        handler: H,
    ) -> Self {
        self.on(Method::DELETE, MethodFilter::DELETE, path, terms.into(), handler)
    }

    /// Answers every problem below `prefix` in another form, those of the guard and of unknown routes too.
    #[must_use]
    pub fn problems_under(mut self, prefix: &'static str, form: ProblemForm) -> Self {
        self.forms.add(prefix, form);
        self
    }

    /// Adds all routes of `other`.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.table.extend(other.table);
        self.forms.extend(other.forms);
        Self { router: self.router.merge(other.router), table: self.table, forms: self.forms }
    }

    /// Returns what was declared, in order.
    pub fn table(&self) -> &[Route] {
        &self.table
    }

    /// Returns the routes as a router for the guard to stand in front of, and the forms of problems.
    pub(super) fn into_router(self, context: Context) -> (Router, Forms) {
        // Who has no token learns of no path whether it exists: these two ask for one as any route does.
        let no_route = Checked::new(Needs::AnyToken.anybody(), no_such_route);
        let no_method = Checked::new(Needs::AnyToken.anybody(), no_such_method);
        let router = self
            .router
            .fallback(no_route)
            .method_not_allowed_fallback(no_method)
            // Bodies are read and bounded by `Checked`, by the setting and not by the framework's default.
            .layer(DefaultBodyLimit::disable());
        (router.with_state(context), self.forms)
    }

    fn on<H: Handler<T, Context>, T: 'static>(
        mut self,
        method: Method,
        filter: MethodFilter,
        path: &'static str,
        terms: Terms,
        handler: H,
    ) -> Self {
        self.router = self.router.route(path, on(filter, Checked::new(terms, handler)));
        let (reads, again) = (terms.reads(&method), terms.again(&method));
        let Terms { needs, long, reach, .. } = terms;
        self.table.push(Route { method, path, needs, long, reads, again, reach });
        self
    }
}

async fn no_such_route(request: Request) -> Problem {
    Problem::no_route(request.method(), request.uri().path())
}

async fn no_such_method(request: Request) -> Problem {
    Problem::no_method(request.method(), request.uri().path())
}
