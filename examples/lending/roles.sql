-- What the demonstration's database holds, and the account of its connector.
CREATE ROLE writ LOGIN CREATEROLE PASSWORD 'the connector''s own';
CREATE ROLE orders_reader;
CREATE ROLE orders_writer;
CREATE ROLE writ_drill;
GRANT orders_reader, orders_writer, writ_drill TO writ WITH ADMIN OPTION;
GRANT pg_read_all_stats TO writ;
