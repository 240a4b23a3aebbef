-- A session asks for work. The job is accepted and waits, for a node or for its time.
-- FIELDS: session_id:id src_lang:lang tgt_lang:lang payload_json:payload job_id?:id priority?:priority deadline_ts?:ts not_before_ts?:ts max_attempts?:count affinity?:affinity reply_to?:id traceparent?:id immediate?:flag deliver?:flag carries?:entry request_id?:id
job_id = job_id or job_id_of(e, id)
if #job_id > limit.id then
  refuse_event('INVALID_FIELD', 'session_id leaves no room for a job_id made from it: shorten it, or give a job_id')
end
if submitted_before(job_id, e) then
  carry_submission(job_id, carries, id)
  return
elseif carries then
  refuse_event('UNKNOWN_JOB', 'job_id ' .. job_id .. ': no such job, so its submission cannot be carried')
end
if src_lang == tgt_lang then
  refuse_event('INVALID_FIELD', 'tgt_lang equals src_lang: a job translates between two languages')
end
if deadline_ts and tonumber(deadline_ts) <= at then
  refuse_event('INVALID_FIELD', 'deadline_ts ' .. deadline_ts .. ' is in the past (the log is at ' .. at_text .. '): give a later one, in ms')
end
deadline_ts = deadline_of(e)
if deadline_ts and not_before_ts and tonumber(not_before_ts) >= tonumber(deadline_ts) then
  refuse_event('INVALID_FIELD', 'not_before_ts is not before deadline_ts ' .. deadline_ts .. ': the job could never run')
end
if immediate == 'true' and not_before_ts then
  refuse_event('INVALID_FIELD', 'not_before_ts does not go with immediate: leave one of them out')
end
if not_before_ts and tonumber(not_before_ts) > 0 and tonumber(not_before_ts) < limit.least_ts then
  refuse_event('INVALID_FIELD', 'not_before_ts ' .. not_before_ts .. ' seems to be in seconds: give milliseconds since the epoch')
end
if immediate ~= 'true' and waiting_is_full() then -- which would not wait
  refuse_event('OVERLOADED', shed_submission('waiting', at))
end
local charged = charge_source(e, job_id, payload_json)
local order = format_int(counted('submitted') - tonumber(priority or 0) * limit.order_step)
local timer
if immediate == 'true' then
  timer = 'decide'
  plan_member('ZADD', key.timers, '0', job_id)
else
  timer = enqueue(job_id, src_lang, tgt_lang, order, not_before_ts and tonumber(not_before_ts))
end
local hash = { 'HSET', key.job(job_id), 'status', 'created', 'session_id', session_id, 'src_lang', src_lang,
  'tgt_lang', tgt_lang, 'payload_json', payload_json, 'order', order, 'created_ts', at_text, 'timer', timer, 'submit_id', id }
for i = 1, #OPTIONS do
  local field = OPTIONS[i]
  if e[field] then
    hash[#hash + 1], hash[#hash + 2] = field, e[field]
  end
end
if charged then
  hash[#hash + 1], hash[#hash + 2] = 'source', charged
  hash[#hash + 1], hash[#hash + 2] = 'deadline_ts', deadline_ts
end
plan_command(hash)
if deadline_ts then
  plan_write('ZADD', key.deadlines, note_due(deadline_ts), job_id)
end
remember_submission(job_id, {
  src_lang = src_lang, tgt_lang = tgt_lang, session_id = session_id, attempts = 0, deliver = deliver ~= 'false', timer = timer,
  deadline_ts = deadline_ts, excluded = '', affinity = affinity or 'prefer', payload_json = payload_json, traceparent = traceparent,
})
bump('submitted')
bump('waiting')
