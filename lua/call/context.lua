-- What one call carries from its first read to its last write. These variables stand outside of the function that holds
-- everything else.
local live = true -- false on a replay: nothing is decided, appended or delivered
local writes_letters = true -- false on a replay into another place: a refused event has its dead letter already
local left = 0 -- how many more events this call may fold or decide, which bounds its length
local now = 0 -- ms; read once, never behind the last fact
local now_text = '0'
local at = 0 -- ms; the time of the event being folded, taken from its id
local at_text = '0'
local folding = '0-0' -- id of the event being folded
local planning = true -- whether the event may still be refused, so that its writes are planned first
local last_ms, last_seq = 0, 0 -- the log's last id
local skew = 0 -- ms that the log's time is ahead of a clock that was set back
local meta -- the partition's own hash, as this call found it
local fence -- what this call wrote as `begin`, once it has written anything
local moved = false -- whether the watermark of the log has moved
local beats_moved = false -- and that of the heartbeats

local format = string.format
local find = string.find
local match = string.match
local gmatch = string.gmatch
local gsub = string.gsub
local concat = table.concat
local sort = table.sort
local rcall = redis.call
