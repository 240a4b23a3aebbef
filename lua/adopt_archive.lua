-- Prepare a partition to be folded again from an archive: its log goes on where the archive ends, without a gap.
-- KEYS: events dead
-- ARGV: prefix began:entry last:entry count:number first head:number reached:number replace:flag
-- `began`, `last` and `count` are the archive's; of the log as the caller saw it, `first` is its first id (or ''), `head` how
-- many archived events come before that, `reached` how many are not behind the log's last id. With `replace` a log that began
-- without the archive's events is kept behind them. Replies 'OK', or 'AGAIN' if the log has changed since the caller looked.
local v = rcall('HMGET', key.meta, 'watermark', 'wiped', 'log')
local about = rcall('EXISTS', events) == 1 and fields_of(rcall('XINFO', 'STREAM', events)) or {}
local added, length, tip = about['entries-added'] or 0, about.length or 0, about['last-generated-id'] or '0-0'
local seen = rcall('XRANGE', events, '-', '+', 'COUNT', 1)
if (seen[1] and seen[1][1] or '') ~= first then
  return 'AGAIN'
end
if v[2] and v[2] ~= began then
  return redis.error_reply('WIPED the log that began at ' .. v[2] .. ' is gone, and the archive is of one that began at ' .. began
    .. ': give the archive of the lost log')
elseif replace ~= '1' and (v[2] or v[3] and v[3] ~= began) then
  return redis.error_reply(wiped_log(began, v[3]))
end
count, head, reached = tonumber(count), tonumber(head), tonumber(reached)
-- What the archive holds was judged: its dead letters stay, however little the state on this server had folded. The group's
-- cursor may have to stand for the watermark, and is moved below.
local judged = rcall('HGET', key.meta, 'rebuild_until') or folded_up_to()
judged = judged ~= '+' and at_or_before(judged, last) and last or judged
local function go_on_at(id, taken)
  redis.pcall('XGROUP', 'CREATE', events, key.group, '0-0', 'MKSTREAM') -- which may be there already
  rcall('XGROUP', 'SETID', events, key.group, last, 'ENTRIESREAD', count)
  rcall('XSETID', events, id, 'ENTRIESADDED', taken, 'MAXDELETEDID', last)
end
local newer = first ~= '' and not at_or_before(first, last)
if v[3] and v[3] ~= began and not newer then
  return redis.error_reply('FORK the new log begins at ' .. v[3] .. ', before the archive ends at ' .. last .. ', by the clocks of two'
    .. ' servers: archive it elsewhere, delete the keys under ' .. prefix .. ', rebuild, and append what it holds')
end
if v[1] and not at_or_before(v[1], last) and (first == '' and tip ~= v[1] or newer and added - length > count) then
  return redis.error_reply('GAP events up to ' .. v[1] .. ' had been folded, the archive ends at ' .. last
    .. ', and the log does not hold what is between: give an archive that reaches further')
elseif newer and added == length then
  if replace ~= '1' and rcall('XLEN', dead) > 0 then
    return redis.error_reply('FORK the log holds ' .. length .. ' events of its own from ' .. first
      .. ' on, and some were judged without those of the archive: `--replace` keeps them behind those')
  end
  go_on_at(tip, count + length)
  rcall('HSET', key.meta, 'carried_after', last)
elseif added - length ~= head then
  return redis.error_reply('GAP the log begins at ' .. first .. ' with event ' .. (added - length + 1)
    .. ', the archive holds ' .. head .. ' before it, up to ' .. last .. ': give an archive that reaches further')
elseif at_or_before(tip, last) and tip ~= last then
  if reached ~= added then
    return redis.error_reply('FORK the log took in ' .. added .. ' events up to ' .. tip .. ', the archive ' .. reached
      .. ': they are not the same history')
  end
  -- the log has lost its end, or is new: the archive holds all of it
  rcall('XTRIM', events, 'MAXLEN', 0)
  go_on_at(last, count)
end
rcall('HDEL', key.meta, 'wiped', 'lost', 'forgotten')
rcall('HSET', key.meta, 'log', began, 'rebuilding', 'drop', 'rebuild_from', 'archive', 'rebuild_until', judged,
  'adopted', last)
return 'OK'
