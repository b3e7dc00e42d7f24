-- Who may do what: permissions, roles, identities, imported keys. Slugs, names and external ids are compared as bytes.

CREATE TABLE permissions (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    slug text COLLATE "C" NOT NULL CHECK (char_length(slug) BETWEEN 1 AND 128),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 512),
    description text CHECK (char_length(description) BETWEEN 1 AND 512),
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    CONSTRAINT permissions_workspace_id_slug_key UNIQUE (workspace_id, slug)
);

CREATE TABLE roles (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 128),
    description text CHECK (char_length(description) BETWEEN 1 AND 512),
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    CONSTRAINT roles_workspace_id_name_key UNIQUE (workspace_id, name)
);

CREATE TABLE role_permissions (
    role_id text COLLATE "C" NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    permission_id text COLLATE "C" NOT NULL REFERENCES permissions (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (role_id, permission_id)
);
CREATE INDEX role_permissions_permission_id_idx ON role_permissions (permission_id);
CREATE INDEX role_permissions_workspace_id_idx ON role_permissions (workspace_id);

-- The owner of keys, by the name that the customer's own system has for it.
CREATE TABLE identities (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    external_id text COLLATE "C" NOT NULL CHECK (char_length(external_id) BETWEEN 1 AND 255),
    meta json,
    -- The keys of a disabled identity verify as FORBIDDEN.
    enabled boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz,
    deleted_at timestamptz
);
CREATE UNIQUE INDEX identities_workspace_id_external_id_key ON identities (workspace_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX identities_workspace_id_idx ON identities (workspace_id, id);

CREATE TABLE key_permissions (
    key_id text COLLATE "C" NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    permission_id text COLLATE "C" NOT NULL REFERENCES permissions (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (key_id, permission_id)
);
CREATE INDEX key_permissions_permission_id_idx ON key_permissions (permission_id);
CREATE INDEX key_permissions_workspace_id_idx ON key_permissions (workspace_id);

CREATE TABLE key_roles (
    key_id text COLLATE "C" NOT NULL REFERENCES keys (id) ON DELETE CASCADE,
    role_id text COLLATE "C" NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (key_id, role_id)
);
CREATE INDEX key_roles_role_id_idx ON key_roles (role_id);
CREATE INDEX key_roles_workspace_id_idx ON key_roles (workspace_id);

CREATE TABLE identity_permissions (
    identity_id text COLLATE "C" NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    permission_id text COLLATE "C" NOT NULL REFERENCES permissions (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (identity_id, permission_id)
);
CREATE INDEX identity_permissions_permission_id_idx ON identity_permissions (permission_id);
CREATE INDEX identity_permissions_workspace_id_idx ON identity_permissions (workspace_id);

CREATE TABLE identity_roles (
    identity_id text COLLATE "C" NOT NULL REFERENCES identities (id) ON DELETE CASCADE,
    role_id text COLLATE "C" NOT NULL REFERENCES roles (id) ON DELETE CASCADE,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    PRIMARY KEY (identity_id, role_id)
);
CREATE INDEX identity_roles_role_id_idx ON identity_roles (role_id);
CREATE INDEX identity_roles_workspace_id_idx ON identity_roles (workspace_id);

-- Where keys were imported from, and how their hashes were made there.
CREATE TABLE migrations (
    id text COLLATE "C" PRIMARY KEY,
    workspace_id text COLLATE "C" NOT NULL REFERENCES workspaces (id),
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    algorithm text NOT NULL CHECK (algorithm IN ('sha256', 'github.com/seamapi/prefixed-api-key')),
    created_at timestamptz NOT NULL
);
CREATE INDEX migrations_workspace_id_idx ON migrations (workspace_id, id);

ALTER TABLE keys
    ADD COLUMN identity_id text COLLATE "C" REFERENCES identities (id) ON DELETE SET NULL,
    -- Set while `hash` is still the foreign system's; the first verification makes it Keyward's own.
    ADD COLUMN pending_migration_id text COLLATE "C" REFERENCES migrations (id);
CREATE INDEX keys_identity_id_idx ON keys (identity_id, id) WHERE identity_id IS NOT NULL;

ALTER TABLE workspaces
    -- Live keys and live root keys at most; NULL is unlimited.
    ADD COLUMN keys_max bigint CHECK (keys_max >= 0),
    ADD COLUMN root_keys_max bigint CHECK (root_keys_max >= 0);
