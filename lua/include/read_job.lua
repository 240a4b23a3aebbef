-- USES: context config
-- The fields of a job that folds and decisions lean on, in one read; nil where there is no such job.
local function read_job(job_id)
  local v = rcall('HMGET', key.job(job_id), 'status', 'session_id', 'src_lang', 'tgt_lang', 'order', 'attempts', 'attempt',
    'node_id', 'max_attempts', 'deliver', 'timer', 'deadline_ts', 'reply_to', 'excluded', 'cause', 'misses', 'affinity', 'pool_id')
  if not v[1] then
    return nil
  end
  return {
    status = v[1], session_id = v[2], src_lang = v[3], tgt_lang = v[4], order = v[5], attempts = tonumber(v[6] or 0),
    attempt = v[7] or '', node_id = v[8] or '', max_attempts = tonumber(v[9] or config('max_attempts')),
    deliver = v[10] ~= 'false', timer = v[11] or '', deadline_ts = v[12], reply_to = v[13], excluded = v[14] or '',
    cause = v[15] or '', misses = tonumber(v[16] or 0), affinity = v[17] or 'prefer', pool_id = v[18] or '',
  }
end
