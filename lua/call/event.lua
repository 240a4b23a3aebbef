-- Fold one event: plan it, then carry the plan out, or write its dead letter.

-- The one place where an older version of an event becomes the one that its fold reads. NEWEST names the types that have
-- more than one version; UPCASTS[type][v] turns the fields of version v into those of v + 1. No type has a second one yet.
local NEWEST = {}
local UPCASTS = {}
local function upcast(e)
  local newest = NEWEST[e.type] or 1
  if not e.v and newest == 1 then
    return e -- nearly every event
  end
  local v = tonumber(e.v and match(e.v, '^[1-9]%d?$') or not e.v and 1)
  if not v or v > newest then
    refuse_event('UNSUPPORTED_VERSION', 'v ' .. e.v .. ' of ' .. tostring(e.type) .. ': upgrade the workers, or send v ' .. newest)
  end
  for step = v, newest - 1 do
    e = UPCASTS[e.type][step](e)
  end
  return e
end

local function plan_event(stream, id, flat, e, decided)
  if #flat > 2 * limit.fields then
    refuse_event('INVALID_FIELD', 'the event has ' .. #flat / 2 .. ' fields: give at most ' .. limit.fields)
  end
  local letter = e.retry_of
  e = upcast(e)
  if e.source_id then
    check_sender(e, stream)
  end
  local kind = e.type
  local fold = FOLDS[kind]
  if fold and (stream == 'events' or kind == 'node.heartbeat') then
    if letter and stream == 'events' then
      if not find(letter, '^%d+%-%d+$') or #letter > 41 then
        refuse_event('INVALID_FIELD', 'retry_of is not the id of a dead letter: give one such as 1700000000000-0')
      elseif handle_letter(letter, 'retried', id) then
        return nil
      end
    end
    return fold(e, id, stream)
  end
  local fact = FACTS[kind]
  if fact and not decided then
    refuse_event('FORGED_DECISION', 'type ' .. kind .. ' is written by the scheduler only: append what happened instead')
  elseif not fact then
    refuse_event('UNKNOWN_TYPE', 'type ' .. format('%q', tostring(kind)) .. ' is no event of this stream: see the event reference')
  end
  planning = false
  raise_fence(id)
  return fact(e, id)
end

-- What every entry of the log does, folded or refused: it lets time pass.
local function enter_event(stream, id)
  local ms = match(id, '^%d+')
  if ms ~= at_text then
    at, at_text = tonumber(ms), ms
  end
  folding = id
  if stream == 'events' then
    if meta.log == '0-0' then -- its first event tells a log from every other: that of a flushed server begins later
      meta.log = id
      raise_fence(id)
      rcall('HSET', key.meta, 'log', id)
    end
    purge_ended()
  elseif skew > 0 then
    -- The clock was set back: beats carry its time, everything they are compared with carries the log's, which is slow until
    -- the clock has caught up. A beat counts as made now, or no node could come back until then.
    at, at_text = now, now_text
  end
end

-- Fold one event, given flat and as a table. A refused one leaves nothing but its dead letter.
-- Returns nil, or the problem.
local function fold_event(stream, id, flat, e, decided)
  enter_event(stream, id)
  planning = true
  local done, problem = pcall(plan_event, stream, id, flat, e, decided)
  if done then
    raise_fence(id)
    commit()
    if e.source_id and stream == 'events' then
      note_source_position(e)
    end
    return nil
  end
  abandon()
  if type(problem) ~= 'table' or not problem.code then
    local text = type(problem) == 'table' and (problem.halt or problem.err) or tostring(problem)
    -- An error that begins with a code is the server's: a wrong type, a key that it may not or cannot give. The event did
    -- not cause it.
    if decided and FACTS[e.type] or find(text, '^%u+ ') then
      if not fence then
        error(text, 0) -- nothing has been written: the caller lacks a right, or the server cannot answer it now
      end
      halt(text .. ' (at ' .. id .. ', ' .. tostring(e.type) .. ')')
    end
    problem = { code = 'INTERNAL', detail = text }
  end
  raise_fence(id)
  if stream == 'events' then
    bump_now('dead', 1) -- refused beats are not counted: counters follow from the log alone
    if e.source_id then
      note_source_position(e, problem)
    end
  end
  if writes_letters then
    write_dead_letter(stream, id, e, problem)
  end
  return problem
end
