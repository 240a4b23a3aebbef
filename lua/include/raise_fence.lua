-- USES: context
-- The first write of every call. A script cannot be rolled back: if this mark stands without its twin `done`, the
-- call was torn in between, and the partition is rebuilt from its log. So it is never the mark of the call before.
-- HSET is refused on a full or read-only server: such a server stops the call before anything has changed.
local function raise_fence(id)
  if not fence then
    fence = id == meta.done and id .. '\'' or id
    rcall('HSET', key.meta, 'begin', fence)
  end
end
