-- USES: context
-- What it takes to choose a node for a waiting job and to send it there. The decision's read is remembered until
-- something is committed, so that the fold of its fact does not pay for the same read again; and a job submitted just
-- now is known without a read.
local known_id, known_job
local new_id, new_job -- of the submission under way: what is known once it is committed
local function job_to_dispatch(job_id)
  if known_id ~= job_id then
    local v = rcall('HMGET', key.job(job_id), 'src_lang', 'tgt_lang', 'session_id', 'attempts', 'deliver', 'timer', 'deadline_ts',
      'excluded', 'affinity', 'payload_json', 'traceparent')
    known_id, known_job = job_id, {
      src_lang = v[1], tgt_lang = v[2], session_id = v[3], attempts = tonumber(v[4] or 0), deliver = v[5] ~= 'false',
      timer = v[6] or '', deadline_ts = v[7], excluded = v[8] or '', affinity = v[9] or 'prefer', payload_json = v[10],
      traceparent = v[11],
    }
  end
  return known_job
end
