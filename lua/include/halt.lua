-- Stop the partition: what was found is no fault of the event, and to go on would make it worse.
local function halt(reason)
  error({ halt = reason }, 0)
end
