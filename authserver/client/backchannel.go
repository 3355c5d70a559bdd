package client

import (
	"slices"

	"larder/authserver/oidc"
)

// backchannel checks how the client asks people who are elsewhere (OpenID CIBA
// Core §4).
func (c *check) backchannel() {
	c.oneOf("backchannel_token_delivery_mode", c.m.BackchannelDelivery, oidc.DeliveryModes())
	if uri := c.m.BackchannelNotificationEndpoint; uri != "" {
		c.address("backchannel_client_notification_endpoint", uri)
	} else if c.m.BackchannelDelivery == oidc.DeliveryPing {
		c.fault("backchannel_client_notification_endpoint", "must be there for delivery mode ping")
	}
	if slices.Contains(c.m.GrantTypes, oidc.CIBA) && c.public() {
		c.fault("grant_types", "a public client cannot use CIBA")
	}
}
