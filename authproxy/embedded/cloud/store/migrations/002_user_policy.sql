-- A user's own rules, within what the application's policy has: JSON as there. '{}': none.
ALTER TABLE user ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';
