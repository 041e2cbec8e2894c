//! Rights: what routes of the admin API are for, and how far each kind of caller gets with them.
//!
//! **Invariant:** a right says all of it in its row: who administers the gateway has every right, who sees everything has
//! those that change nothing, and everybody else what the row says.

use crate::grant::Denied;
use crate::kind::Kind;
use crate::role::{Actor, Call, Membership, Role};
use std::ops::BitOr;

/// How far somebody gets: the kinds of objects that a right is good for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Extent(u8);

impl BitOr for Extent {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.and(other)
    }
}

impl Extent {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// What belongs to oneself: the user, its keys, the key itself.
    pub const OWN: Self = Self(1);
    /// The teams and organizations that one is in, as far as they are for their members.
    pub const MEMBER: Self = Self(2);
    /// The teams that one administers or in which it is permitted, with all that belongs to them.
    pub const TEAM: Self = Self(4);
    /// The organizations that one administers, with all that belongs to them.
    pub const ORGANIZATION: Self = Self(8);
    /// Everything.
    pub const EVERYTHING: Self = Self(16);

    /// Whether it is nothing.
    pub const fn is_nothing(self) -> bool {
        self.0 == 0
    }

    /// Whether it has all of another one.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Right {
    /// Whatever anybody may who was let in.
    Caller,
    /// Making a key.
    KeyCreate,
    /// Making a key that is no user's.
    ServiceKeyCreate,
    /// Changing what a key has.
    KeyUpdate,
    /// Blocking a key, and letting it in again.
    KeyBlock,
    /// Giving a key another text.
    KeyRegenerate,
    /// Deleting keys.
    KeyDelete,
    /// Setting what a key has spent.
    KeyReset,
    /// Looking at keys.
    KeySee,
    /// Making a team.
    TeamCreate,
    /// Changing what a team is.
    TeamChange,
    /// Changing what a team has: its models, whether it is blocked, whether it is there.
    TeamGrow,
    /// Taking members in and out, and their limits.
    TeamMembers,
    /// Looking at teams.
    TeamSee,
    /// Making a user.
    UserCreate,
    /// Changing a user.
    UserChange,
    /// Changing what is one's own alone: a password.
    UserSelf,
    /// Deleting users, and changing many.
    UserDelete,
    /// Looking at a user.
    UserSee,
    /// Looking at all users.
    UserList,
    /// Making and deleting an organization.
    OrganizationCreate,
    /// Changing an organization.
    OrganizationChange,
    /// Taking members of an organization in and out.
    OrganizationMembers,
    /// Looking at organizations.
    OrganizationSee,
    /// Making, changing, deleting a project.
    ProjectChange,
    /// Looking at projects.
    ProjectSee,
    /// Changing what belongs to nobody: customers, tags, budgets, groups of models.
    CommonChange,
    /// Looking at it.
    CommonSee,
    /// Making, changing, deleting a deployment: of a team, by who administers it.
    ModelChange,
    /// Inviting users.
    Invite,
    /// Looking at what was spent, by whoever did.
    SpendSee,
    /// Looking at what teams have spent.
    TeamSpendSee,
    /// Looking at what organizations have spent.
    OrganizationSpendSee,
    /// Looking at what all have spent.
    GlobalSpendSee,
    /// Looking at how the gateway is set and how it does, and at its audit.
    OperatorSee,
    /// Setting it, with the providers' credentials.
    OperatorChange,
    /// What the master key alone may do.
    Master,
}

/// Which users have a right over what is theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    /// None.
    Nobody,
    /// Those who may change things.
    Users,
    /// Also those who may only look; and a key, at itself.
    Everybody,
}

/// What a right is, and who has it beside who administers the gateway.
#[derive(Debug, Clone, Copy)]
pub(super) struct Row {
    /// Whether it changes anything.
    pub(super) changes: bool,
    /// What administrators of organizations and of teams, and members of teams, have it over.
    pub(super) extent: Extent,
    /// The permissions by which a team gives it to its members (LiteLLM's paths).
    pub(super) permissions: &'static [&'static str],
    /// Whether users have it over what is theirs.
    pub(super) own: Own,
}

const fn see(extent: Extent, permissions: &'static [&'static str], own: Own) -> Row {
    Row { changes: false, extent, permissions, own }
}

const fn change(extent: Extent, permissions: &'static [&'static str], own: Own) -> Row {
    Row { changes: true, extent, permissions, own }
}

const NO: Extent = Extent::NOTHING;
const ORG: Extent = Extent::ORGANIZATION;
const TEAMS: Extent = Extent::ORGANIZATION.and(Extent::TEAM);
const MEMBERS: Extent = TEAMS.and(Extent::MEMBER);

impl Right {
    /// Every right.
    pub const ALL: [Self; 37] = [
        Self::Caller,
        Self::KeyCreate,
        Self::ServiceKeyCreate,
        Self::KeyUpdate,
        Self::KeyBlock,
        Self::KeyRegenerate,
        Self::KeyDelete,
        Self::KeyReset,
        Self::KeySee,
        Self::TeamCreate,
        Self::TeamChange,
        Self::TeamGrow,
        Self::TeamMembers,
        Self::TeamSee,
        Self::UserCreate,
        Self::UserChange,
        Self::UserSelf,
        Self::UserDelete,
        Self::UserSee,
        Self::UserList,
        Self::OrganizationCreate,
        Self::OrganizationChange,
        Self::OrganizationMembers,
        Self::OrganizationSee,
        Self::ProjectChange,
        Self::ProjectSee,
        Self::CommonChange,
        Self::CommonSee,
        Self::ModelChange,
        Self::Invite,
        Self::SpendSee,
        Self::TeamSpendSee,
        Self::OrganizationSpendSee,
        Self::GlobalSpendSee,
        Self::OperatorSee,
        Self::OperatorChange,
        Self::Master,
    ];

    /// The row of the right.
    pub(super) const fn row(self) -> Row {
        use Own::{Everybody, Nobody, Users};
        match self {
            Self::Caller => see(MEMBERS, &[], Everybody),
            Self::KeyCreate => change(TEAMS, &["/key/generate"], Users),
            Self::ServiceKeyCreate => change(TEAMS, &["/key/service-account/generate"], Nobody),
            Self::KeyUpdate => {
                change(TEAMS, &["/key/update", "/key/bulk_update", "/team/key/bulk_update"], Users)
            }
            // Who blocks a key may be an administrator, and whose it is may not undo that.
            Self::KeyBlock => change(TEAMS, &["/key/block", "/key/unblock"], Nobody),
            Self::KeyRegenerate => change(TEAMS, &["/key/regenerate", "/key/{key_id}/regenerate"], Users),
            Self::KeyDelete => change(TEAMS, &["/key/delete"], Users),
            Self::KeyReset => change(TEAMS, &["/key/{key_id}/reset_spend"], Nobody),
            Self::KeySee => see(TEAMS, &["/key/info", "/key/list", "/key/aliases"], Everybody),
            Self::TeamCreate
            | Self::TeamGrow
            | Self::UserCreate
            | Self::UserDelete
            | Self::OrganizationChange
            | Self::OrganizationMembers
            | Self::Invite => change(ORG, &[], Nobody),
            Self::TeamChange | Self::TeamMembers | Self::ProjectChange | Self::ModelChange => {
                change(TEAMS, &[], Nobody)
            }
            Self::TeamSee | Self::ProjectSee => see(MEMBERS, &[], Nobody),
            Self::UserChange => change(ORG, &[], Users),
            Self::UserSelf => change(NO, &[], Everybody),
            Self::UserSee => see(ORG, &[], Everybody),
            Self::UserList | Self::OrganizationSpendSee => see(ORG, &[], Nobody),
            Self::OrganizationCreate | Self::CommonChange | Self::OperatorChange | Self::Master => {
                change(NO, &[], Nobody)
            }
            Self::OrganizationSee => see(ORG.and(Extent::MEMBER), &[], Nobody),
            Self::CommonSee | Self::GlobalSpendSee | Self::OperatorSee => see(NO, &[], Nobody),
            Self::SpendSee => see(TEAMS, &["/spend/logs", "/spend/logs/v2"], Everybody),
            Self::TeamSpendSee => {
                see(TEAMS, &["/team/daily/activity", "/team/daily/activity/aggregated"], Nobody)
            }
        }
    }

    /// The right by which an object of a kind is looked at, and the one by which it is changed.
    pub const fn over(kind: Kind) -> (Self, Self) {
        match kind {
            Kind::Key => (Self::KeySee, Self::KeyUpdate),
            Kind::Team => (Self::TeamSee, Self::TeamChange),
            Kind::Member => (Self::TeamSee, Self::TeamMembers),
            Kind::User => (Self::UserSee, Self::UserChange),
            Kind::Organization => (Self::OrganizationSee, Self::OrganizationChange),
            Kind::OrganizationMember => (Self::OrganizationSee, Self::OrganizationMembers),
            Kind::Project => (Self::ProjectSee, Self::ProjectChange),
            Kind::Customer | Kind::Tag | Kind::Budget | Kind::AccessGroup => {
                (Self::CommonSee, Self::CommonChange)
            }
            Kind::Model => (Self::OperatorSee, Self::ModelChange),
            Kind::Invitation => (Self::Invite, Self::Invite),
            Kind::Credential | Kind::Setting | Kind::KeyMapping => (Self::OperatorSee, Self::OperatorChange),
        }
    }

    /// Whether it changes anything.
    pub const fn changes(self) -> bool {
        self.row().changes
    }

    /// How far an actor gets with it, over a route.
    ///
    /// # Errors
    /// Where it gets nowhere: the key is not for the route, or nobody like this may.
    pub fn verdict(self, actor: &Actor, call: &Call<'_>) -> Result<Extent, Denied> {
        if !actor.is_for(call) {
            let of_key = actor.key.iter().flat_map(|key| key.reach.routes.names());
            let names = of_key.chain(actor.routes.names()).chain([actor.key_type().word()]);
            let allowed = names.map(str::to_owned).collect();
            return Err(Denied::Route { allowed, path: call.path.to_owned() });
        }
        let extent = self.extent(actor);
        if extent.is_nothing() {
            let role = actor.role.map_or("unknown", Role::word);
            return Err(Denied::NotAdmin { path: call.path.to_owned(), role });
        }
        Ok(extent)
    }

    /// How far an actor gets with it, whatever the route.
    pub fn extent(self, actor: &Actor) -> Extent {
        let row = self.row();
        if actor.is_master || (actor.is_admin() && self != Self::Master) {
            return Extent::EVERYTHING;
        }
        if actor.sees_everything() && !row.changes {
            return Extent::EVERYTHING;
        }
        let of = |extent: Extent, has: bool| if has && row.extent.has(extent) { extent } else { NO };
        let is_permitted = actor.teams.iter().any(|team| row.permits(team));
        let organization = of(ORG, actor.organizations.iter().any(|(_, is_admin)| *is_admin));
        let team = of(Extent::TEAM, is_permitted || actor.teams.iter().any(|team| team.is_admin));
        let member = of(Extent::MEMBER, !actor.teams.is_empty() || !actor.organizations.is_empty());
        let own = if row.gives_own(actor) { Extent::OWN } else { NO };
        organization | team | member | own
    }
}

impl Row {
    /// Whether a team gives the right to this member.
    pub(super) fn permits(&self, membership: &Membership) -> bool {
        membership.permissions.iter().any(|given| self.permissions.contains(&&**given))
    }

    /// Whether an actor has the right over what is its own.
    pub(super) fn gives_own(&self, actor: &Actor) -> bool {
        match self.own {
            Own::Nobody => false,
            Own::Users => {
                let changes =
                    matches!(actor.role, Some(Role::InternalUser | Role::OrgAdmin | Role::ProxyAdmin));
                changes && actor.user.is_some()
            }
            Own::Everybody => actor.user.is_some() || (!self.changes && actor.key.is_some()),
        }
    }
}
