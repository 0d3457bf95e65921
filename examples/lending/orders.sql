CREATE TABLE orders (number integer PRIMARY KEY, item text, cents integer);
INSERT INTO orders VALUES (1, 'lamp', 4900), (2, 'desk', 18900), (3, 'ink', 700);
GRANT SELECT ON orders TO orders_reader;
GRANT SELECT, INSERT, UPDATE ON orders TO orders_writer;
