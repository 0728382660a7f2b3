"""How systemd runs the processes of a service: started again whatever ends them, and with no more of the machine than they need."""

SANDBOX = """\
KillMode=mixed
Restart=always
RestartSec=1
OOMScoreAdjust=-100
NoNewPrivileges=yes
ProtectSystem=strict
ReadWritePaths={lib}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictSUIDSGID=yes
LockPersonality=yes
CapabilityBoundingSet=

[Install]
WantedBy=multi-user.target
"""
"""The end of their units; `lib` is the folder that they may write."""
