-- The ready views of `streamsched query`, over `entries`: the rows of segments, and of the live log's tail.
CREATE VIEW events AS
SELECT ms || '-' || seq AS id, make_timestamp_ms(ms) AS ts, * EXCLUDE (stream, raw)
FROM entries WHERE stream = 'events';

-- `handled` says whether it was retried or dropped; a retry that was refused has a letter of its own
CREATE VIEW dead_letters AS
WITH letters AS (
  SELECT ms || '-' || seq AS letter_id, rest['id'] AS event_id, make_timestamp_ms(ms) AS ts, rest['stream'] AS stream, code, reason,
    type, job_id, node_id
  FROM entries WHERE stream = 'dead'
),
seen AS (
  SELECT coalesce(rest['retry_of'], rest['letter']) AS letter_id,
    max(CASE WHEN rest['retry_of'] IS NULL THEN 'dropped' ELSE 'retried' END) AS handled
  FROM entries WHERE stream = 'events' AND (rest['retry_of'] IS NOT NULL OR type = 'letter.dropped')
    AND ms || '-' || seq NOT IN (SELECT event_id FROM letters WHERE stream = 'events' AND event_id IS NOT NULL)
  GROUP BY ALL
)
SELECT letters.*, handled FROM letters LEFT JOIN seen USING (letter_id);

-- a refused event changed nothing
CREATE VIEW folded AS
SELECT * FROM events WHERE id NOT IN (SELECT event_id FROM dead_letters WHERE stream = 'events' AND event_id IS NOT NULL);

CREATE VIEW jobs AS
WITH steps AS (
  SELECT *, CASE WHEN type = 'job.submitted' THEN coalesce(job_id, session_id || ':' || coalesce(rest['request_id'], id)) ELSE job_id END AS job
  FROM folded WHERE type LIKE 'job.%'
),
said AS (
  SELECT job,
    arg_min(session_id, ms) FILTER (type = 'job.submitted') AS session_id,
    arg_min(src_lang, ms) FILTER (type = 'job.submitted') AS src_lang,
    arg_min(tgt_lang, ms) FILTER (type = 'job.submitted') AS tgt_lang,
    min(ms) FILTER (type = 'job.submitted') AS submitted_ms,
    min(ms) FILTER (type = 'job.dispatched') AS dispatched_ms,
    max(ms) FILTER (type = 'job.dispatched') AS last_dispatched_ms,
    max(ms) FILTER (type = 'job.started') AS started_ms,
    arg_max(node_id, (ms, seq)) FILTER (type = 'job.dispatched') AS node_id,
    arg_max(pool_id, (ms, seq)) FILTER (type = 'job.dispatched') AS pool_id,
    count(*) FILTER (type = 'job.dispatched') AS attempts,
    count(*) FILTER (type = 'job.requeued') AS requeued,
    arg_max(rest['nodes'], (ms, seq)) FILTER (type = 'job.exhausted') AS begun_on,
    arg_max(struct_pack(kind := type, status := status, ms := ms, problem := coalesce(error, cause, reason, code)), (ms, seq))
      FILTER (type IN ('job.completed', 'job.cancelled', 'job.expired', 'job.exhausted', 'job.refused', 'job.requeued')) AS ending
  FROM steps GROUP BY job HAVING submitted_ms IS NOT NULL
),
judged AS (
  SELECT *, CASE ending.kind
      WHEN 'job.completed' THEN ending.status WHEN 'job.cancelled' THEN 'cancelled' WHEN 'job.expired' THEN 'expired'
      WHEN 'job.exhausted' THEN 'failed' WHEN 'job.refused' THEN 'refused'
      ELSE CASE WHEN last_dispatched_ms IS NULL OR ending.ms > last_dispatched_ms THEN 'created'
        WHEN started_ms >= last_dispatched_ms THEN 'running' ELSE 'dispatched' END END AS status
  FROM said
)
SELECT job AS job_id, session_id, src_lang, tgt_lang, status, node_id, pool_id, attempts, requeued,
  make_timestamp_ms(submitted_ms) AS submitted_ts, make_timestamp_ms(dispatched_ms) AS dispatched_ts,
  make_timestamp_ms(started_ms) AS started_ts,
  make_timestamp_ms(CASE WHEN status NOT IN ('created', 'dispatched', 'running') THEN ending.ms END) AS ended_ts,
  dispatched_ms - submitted_ms AS wait_ms,
  CASE WHEN status IN ('finished', 'failed') THEN ending.ms - coalesce(started_ms, last_dispatched_ms) END AS run_ms,
  CASE WHEN status NOT IN ('created', 'dispatched', 'running') THEN ending.ms - submitted_ms END AS total_ms,
  CASE WHEN status IN ('failed', 'refused', 'cancelled', 'expired') THEN ending.problem END AS problem,
  -- the nodes that its attempts began on, if it ended because none was left
  string_split(begun_on, chr(10)) AS begun_on
FROM judged;

-- when each node was there: from a fact that says so to the next one that says something else, or to the end of the log
CREATE VIEW presence AS
WITH said AS (
  SELECT node_id, ms, seq, type,
    CASE WHEN type IN ('node.registered', 'node.recovered') OR (type IN ('node.heartbeat', 'node.reported') AND online = 'true') THEN true
      WHEN type IN ('node.expired', 'node.offline') OR online = 'false' THEN false END AS online
  FROM folded WHERE type IN ('node.recovered', 'node.heartbeat', 'node.reported', 'node.expired', 'node.offline', 'node.registered')
)
SELECT node_id, online, type AS cause, ms AS from_ms,
  coalesce(lead(ms) OVER (PARTITION BY node_id ORDER BY ms, seq), (SELECT max(ms) FROM events)) AS to_ms
FROM said;

CREATE VIEW node_availability AS
SELECT node_id, round(sum(to_ms - from_ms) FILTER (online) / 60000.0, 2) AS online_minutes,
  round(sum(to_ms - from_ms) / 60000.0, 2) AS known_minutes,
  count(*) FILTER (cause IN ('node.expired', 'node.offline')) AS losses
FROM presence GROUP BY node_id;

-- the time in which no member of any pool of a pair was online; whether one was cordoned or full is not asked here
CREATE VIEW unserved AS
WITH registered AS (
  SELECT node_id, ms AS from_ms,
    coalesce(lead(ms) OVER (PARTITION BY node_id ORDER BY ms, seq), (SELECT max(ms) FROM events)) AS to_ms,
    unnest(from_json(coalesce(pool_names_json, '[]'), '[{"name": "VARCHAR", "languages": ["VARCHAR"]}]')) AS pool
  FROM folded WHERE type = 'node.registered'
),
spoken AS (
  SELECT node_id, from_ms, to_ms, coalesce(pool.languages, string_split(pool.name, '-')) AS languages FROM registered
),
pairs AS (
  SELECT s.lang AS src_lang, t.lang AS tgt_lang, node_id, from_ms, to_ms
  FROM spoken, unnest(languages) AS s(lang), unnest(languages) AS t(lang) WHERE s.lang != t.lang
),
served AS (
  SELECT p.src_lang, p.tgt_lang, greatest(p.from_ms, o.from_ms) AS from_ms, least(p.to_ms, o.to_ms) AS to_ms
  FROM pairs p JOIN presence o ON o.node_id = p.node_id AND o.online AND o.from_ms < p.to_ms AND p.from_ms < o.to_ms
),
asked AS (
  SELECT src_lang, tgt_lang, min(ms) AS since_ms FROM folded WHERE type = 'job.submitted' GROUP BY ALL
  UNION ALL SELECT src_lang, tgt_lang, min(from_ms) FROM pairs GROUP BY ALL
),
known AS (SELECT src_lang, tgt_lang, min(since_ms) AS since_ms FROM asked GROUP BY ALL),
edges AS (
  SELECT src_lang, tgt_lang, from_ms AS ms, 1 AS step FROM served
  UNION ALL SELECT src_lang, tgt_lang, to_ms, -1 FROM served
  UNION ALL SELECT src_lang, tgt_lang, since_ms, 0 FROM known
),
steps AS (
  SELECT src_lang, tgt_lang, ms,
    sum(step) OVER (PARTITION BY src_lang, tgt_lang ORDER BY ms, step DESC ROWS UNBOUNDED PRECEDING) AS serving,
    coalesce(lead(ms) OVER (PARTITION BY src_lang, tgt_lang ORDER BY ms, step DESC), (SELECT max(ms) FROM events)) AS until_ms
  FROM edges
)
SELECT src_lang, tgt_lang, coalesce(sum(until_ms - ms) FILTER (serving = 0), 0) AS unserved_ms, sum(until_ms - ms) AS known_ms
FROM steps GROUP BY ALL;

CREATE VIEW moves AS
WITH placed AS (
  SELECT d.ms, d.seq, d.job_id, d.node_id, d.affinity, j.session_id
  FROM folded d JOIN jobs j ON j.job_id = d.job_id WHERE d.type = 'job.dispatched'
),
walked AS (
  SELECT *, lag(node_id) OVER (PARTITION BY session_id ORDER BY ms, seq) AS from_node FROM placed
)
SELECT make_timestamp_ms(ms) AS ts, session_id, from_node, node_id AS to_node, job_id, affinity AS cause
FROM walked WHERE from_node IS NOT NULL AND from_node != node_id;
