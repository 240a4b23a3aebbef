-- USES: context want config
-- Pause a pool or a pair, or let it go on: an entry in the list of what is paused, and how many of them there are. Pausing
-- again only gives another reason.
local function set_pause(name, paused, reason)
  local was_paused = rcall('HGET', key.paused, name) and true or false
  if paused then
    want('HSET', key.paused, name, at_text .. ' ' .. (reason or ''))
  elseif was_paused then
    want('HDEL', key.paused, name)
  end
  if paused ~= was_paused then
    local count = (config('paused') or 0) + (paused and 1 or -1)
    if count > 0 then
      want('HSET', key.config, 'paused', count)
    else
      want('HDEL', key.config, 'paused')
    end
    forget_config()
  end
end
