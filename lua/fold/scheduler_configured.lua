-- An operator changes the configuration; it holds for every event behind this one.
-- FIELDS: heartbeat_timeout_ms?:ms accept_timeout_ms?:ms job_timeout_ms?:ms max_attempts?:count retry_backoff_ms?:ms retention_ms?:ms node_retention_ms?:ms policy?:policy max_waiting?:bound max_lag?:bound max_letters?:bound max_letters_bytes?:bound shed_memory_percent?:percent fold_version?:count request_id?:id
-- ONCE: -
for name in pairs(DEFAULTS) do
  if e[name] then
    plan_write('HSET', key.config, name, e[name])
  end
end
forget_config()
