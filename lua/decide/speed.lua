-- How fast a node is, beside the other nodes of the same pair: learned from the run times of the jobs that it finishes. 1024 is the
-- mean of the pair, and a larger number is slower. All numbers are whole, so that each replay ends with the same ones.

-- A node finished a job of a pair. The node's run time is put against the mean of the pair, so that it does not matter which pairs a
-- node serves. The average begins at 1024 and trusts its first samples little. For each ten minutes without a sample half of
-- what was learned is forgotten: a node that was slow for a while is tried again.
local run_means = {}
local function learn_speed(node_id, pair, run_ms)
  local room, info = room_of(node_id), key.node_info(node_id)
  local sample = (math.min(run_ms, limit.run_ms) + 1) * 1024
  local mean = run_means[pair] or tonumber(rcall('HGET', flush(key.run_means), pair) or nil)
  if not mean then
    local src, tgt = match(pair, '^([^:]+):(.+)$')
    if rcall('EXISTS', key.serving(src, tgt)) == 0 then
      return -- the last pool of the pair is gone, and with it what was learned
    end
    mean = sample
  end
  local halved = 2 ^ math.min(math.floor((at - (room.learned_ts or at)) / limit.forget_ms), 20)
  local speed, samples = 1024 + math.floor((room.speed - 1024) / halved), math.floor(room.samples / halved)
  local ratio = math.max(64, math.min(math.floor(sample * 1024 / mean), 16384))
  speed = speed + math.floor((ratio - speed) / (samples + 5))
  if rank_of(speed) ~= rank_of(room.speed) then
    mark_node_dirty(node_id)
  end
  samples = math.min(samples + 1, 28)
  if speed ~= room.speed or not room.learned_ts then
    plan_member('HSET', info, 'speed', format_int(speed))
  end
  if samples ~= room.samples then
    plan_member('HSET', info, 'samples', format_int(samples))
  end
  if at ~= room.learned_ts then
    plan_member('HSET', info, 'learned_ts', at_text)
  end
  room.speed, room.samples, room.learned_ts = speed, samples, at
  run_means[pair] = mean + math.floor((sample - mean) / 32)
  plan_member('HSET', key.run_means, pair, format_int(run_means[pair]))
end
