// Management
