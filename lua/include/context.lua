-- What one call carries from its first read to its last write.
local live = true -- false on a replay: nothing is decided, appended or delivered
local burying = true -- false on a replay into another place: what is refused has its dead letter already
local left = 0 -- how many more events this call may fold or decide: the bound on its length
local now, now_text = 0, '0' -- ms; read once, never behind the last fact
local at, at_text = 0, '0' -- ms; the time of the event being folded, taken from its id
local folding = '0-0' -- id of the event being folded
local planning = true -- whether it may still be refused, so that what it brings about is planned first
local last_ms, last_seq = 0, 0 -- the log's last id
local skew = 0 -- ms that the log's time is ahead of a clock that was set back
local meta -- the partition's own hash as this call found it
local fence -- what this call wrote as `begin`, once it has written anything
local moved, beats_moved = false, false
local format, find, match, gmatch, gsub = string.format, string.find, string.match, string.gmatch, string.gsub
local concat, sort, rcall = table.concat, table.sort, redis.call
