-- Counts the writes that listeners are told of: a control plane sees by it whether it may have missed one.
CREATE SEQUENCE IF NOT EXISTS resources_told OWNED BY resources.version;
