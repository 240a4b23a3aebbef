-- USES: context fail halt raise_fence bump commit bury retire upcast want check_sender heard
local function plan_event(stream, id, e, decided)
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
        fail('INVALID_FIELD', 'retry_of is not the id of a dead letter: give one such as 1700000000000-0')
      end
      local handled = rcall('HGET', key.letters, letter)
      if handled and find(handled, 'retried', 1, true) then
        return nil -- it has taken effect before
      end
      want('HSET', key.letters, letter, 'retried ' .. id)
    end
    return fold(e, id, stream)
  end
  local fact = FACTS[kind]
  if fact and not decided then
    fail('FORGED_DECISION', 'type ' .. kind .. ' is written by the scheduler only: append what happened instead')
  elseif not fact then
    fail('UNKNOWN_TYPE', 'type ' .. format('%q', tostring(kind)) .. ' is no event of this stream: see the event reference')
  end
  planning = false
  return fact(e, id)
end

-- What every entry of the log does, folded or refused: it lets time pass.
local function begin_event(stream, id)
  local ms = match(id, '^%d+')
  if ms ~= at_text then
    at, at_text = tonumber(ms), ms
  end
  folding = id
  raise_fence(id)
  if stream == 'events' then
    retire()
  elseif skew > 0 then
    -- the clock was set back: beats carry its time, everything they are held against carries the log's, which stands
    -- still until the clock has caught up. A beat counts as made now, or no node could come back until then.
    at, at_text = now, now_text
  end
end

-- Fold one event: plan it, then carry the plan out; a refused event leaves nothing but its dead letter.
-- Returns nil, or the problem.
local function fold_event(stream, id, e, decided)
  begin_event(stream, id)
  planning = true
  local done, problem = pcall(plan_event, stream, id, e, decided)
  if done then
    commit()
    if e.source_id and stream == 'events' then
      heard(e)
    end
    return nil
  end
  abandon()
  if type(problem) ~= 'table' or not problem.code then
    local text = type(problem) == 'table' and (problem.halt or problem.err) or tostring(problem)
    -- an error with a code is the server's: a wrong type, a key that it may not or cannot give. No fault of the event.
    if FACTS[e.type] or find(text, '^%u+ ') then
      halt(text .. ' (at ' .. id .. ', ' .. tostring(e.type) .. ')')
    end
    problem = { code = 'INTERNAL', detail = text }
  end
  if stream == 'events' then
    bumps.dead = (bumps.dead or 0) + 1 -- refused beats are not counted: counters follow from the log alone
    if e.source_id then
      heard(e, problem)
    end
  end
  if burying then
    bury(stream, id, e, problem)
  end
  return problem
end
