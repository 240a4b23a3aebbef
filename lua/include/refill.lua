-- USES: context
-- Let pass what a source has earned since it was last looked at: at most a second's worth at once.
local function refill(sender)
  local tokens = tonumber(sender.tokens or sender.rate)
  sender.tokens = math.min(sender.rate, tokens + math.max(0, now - tonumber(sender.tokens_ts or now)) * sender.rate / 1000)
  sender.tokens_ts = now_text
end
