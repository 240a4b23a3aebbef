-- USES: context
-- Put the cursor of group `fold` where the watermark is, so that XINFO GROUPS shows the true lag.
local function move_group(stream, id, read)
  local moved_group = redis.pcall('XGROUP', 'SETID', stream, 'fold', id, unpack(read))
  if moved_group.err then
    rcall('XGROUP', 'CREATE', stream, 'fold', id, 'MKSTREAM', unpack(read))
  end
end
