-- One value of the configuration in force, a number where it is one. It is read when first needed, for a fold may have changed
-- it a moment ago.
local config_read
local function config(name)
  if not config_read then
    config_read = {}
    local stored = rcall('HGETALL', key.config)
    for i = 1, #stored, 2 do
      config_read[stored[i]] = tonumber(stored[i + 1]) or stored[i + 1]
    end
  end
  return config_read[name] or DEFAULTS[name]
end
local function forget_config()
  config_read = nil
end
