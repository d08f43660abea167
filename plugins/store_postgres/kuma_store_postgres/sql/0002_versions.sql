-- Versions come from one sequence: none repeats for a key, not even after a deletion.
-- Names are compared by code points: no language's own order counts, and no upgrade of the system changes it.
-- They may be as long as the REST API takes them, and those of secrets a little longer, as they name a mesh.
ALTER TABLE resources
    ALTER COLUMN name      TYPE varchar(300) COLLATE "C",
    ALTER COLUMN namespace TYPE varchar(100) COLLATE "C",
    ALTER COLUMN mesh      TYPE varchar(253) COLLATE "C",
    ALTER COLUMN type      TYPE varchar(100) COLLATE "C",
    ALTER COLUMN version   TYPE bigint,
    ALTER COLUMN namespace SET DEFAULT '';
UPDATE resources SET spec = '{}' WHERE spec IS NULL;
ALTER TABLE resources ALTER COLUMN spec SET NOT NULL;
CREATE SEQUENCE IF NOT EXISTS resources_version OWNED BY resources.version;
DO $$
BEGIN
    PERFORM setval('resources_version', greatest(
        (SELECT max(version) FROM resources), (SELECT last_value FROM resources_version)));
END
$$;
CREATE INDEX IF NOT EXISTS resources_of_type ON resources (type, mesh, name);
