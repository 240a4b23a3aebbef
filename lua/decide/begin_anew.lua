-- USES: context limit_source bury_entry
-- An id far ahead of the clock, such as the highest there is, leaves no room behind it: the stream is begun anew, behind
-- what was taken in, so that its owner can go on.
local function begin_anew(name, sender, stream, entry, waiting)
  limit_source(sender, 'id', waiting)
  bury_entry(name, entry[1], entry[2], 'sent an id ahead of the clock: let XADD make it, with *')
  rcall('UNLINK', stream)
  if sender.last_id ~= '0-0' then
    rcall('XADD', stream, sender.last_id, 'type', '')
    rcall('XTRIM', stream, 'MAXLEN', '=', 0)
  end
end
